"""The log of a release: JSON lines that its front writes, read back oldest first."""

import json
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from voicedeploy_providers.local.places import Places


def read(places: Places, release: str, *, follow: bool, lines: int, session: str) -> Iterator[str]:
    """The last `lines` lines, of one `session` if it is named, and then new ones as they come."""
    path = places.log(release)
    last: deque[str] = deque(maxlen=lines)
    position = 0
    if path.exists():
        for older in (path.with_name(path.name + ".1"), path):
            if older.exists():
                with older.open(encoding="utf-8", errors="replace") as file:
                    last.extend(line.rstrip("\n") for line in file if _of(line, session))
                    position = file.tell()
    yield from last
    if follow:
        yield from _follow(path, position, session)


def _follow(path: Path, position: int, session: str) -> Iterator[str]:
    part = ""
    while True:
        if path.exists():
            if path.stat().st_size < position:
                position = 0  # rotated
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(position)
                part += file.read()
                position = file.tell()
            *whole, part = part.split("\n")
            yield from (line for line in whole if _of(line, session))
        time.sleep(0.2)


def _of(line: str, session: str) -> bool:
    if not session:
        return True
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and str(said.get("session") or "").startswith(session)
