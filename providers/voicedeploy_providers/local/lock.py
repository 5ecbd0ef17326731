"""One deploy at a time. The kernel drops the lock with its holder, so a crash never leaves one behind."""

import fcntl
import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from voicedeploy.errors import Locked


@contextmanager
def held(path: Path, why: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Locked.by(file.read()) from None
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
