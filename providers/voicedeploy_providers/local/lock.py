"""One deploy at a time. The kernel drops the lock with its holder, so a crash never leaves one behind."""

import fcntl
import getpass
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from voicedeploy.errors import Locked

_SILENT_S = 1.0
"""A holder has the lock a moment before it has written who it is, and a moment after it has taken that back."""


@contextmanager
def held(path: Path, why: str) -> Iterator[None]:
    with _taken(path) as file:
        file.truncate(0)
        json.dump(
            {
                "who": getpass.getuser(),
                "pid": os.getpid(),
                "why": why,
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            file,
        )
        file.flush()
        try:
            yield
        finally:
            if path.exists():
                file.truncate(0)


def _taken(path: Path) -> TextIO:
    deadline = time.monotonic() + _SILENT_S
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            said = file.read()
            if said or time.monotonic() > deadline:
                file.close()
                raise Locked.by(said) from None
        else:
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):  # not one that the holder before removed
                    return file
        file.close()
        time.sleep(0.05)
