"""The front's log: one JSON object a line, in a file that rotates and that may be on a full disk."""

import datetime
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Literal

Level = Literal["debug", "info", "warning", "error"]

# loguru's default format, which Pipecat uses: "2026-11-21 03:00:00.000 | WARNING  | module:function:12 - text"
_LOGURU = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \| (\w+)\s*\|")
_LEVELS: dict[str, Level] = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "INFO": "info",
    "SUCCESS": "info",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "error",
}


class Log:
    """Each line holds `ts`, `level`, `event`, `session` ("" outside of a call) and `release`.

    Nothing here raises: a line that cannot be written is dropped and counted in `dropped`, and the first
    line that can be written again is preceded by a `log-dropped` line. The file is renamed to `<file>.1` when it
    would pass `max_bytes`. Two fronts, of an old and a new release, may share one file.
    """

    def __init__(self, file: Path | None, *, max_bytes: int, release: str) -> None:
        self.dropped = 0
        self._reported = 0
        self._file = file
        self._max_bytes = max_bytes
        self._release = release
        self._fd: int | None = None if file else sys.stderr.fileno()
        self._torn = False

    def debug(self, event: str, *, session: str = "", **fields: Any) -> None:
        self.write("debug", event, session, fields)

    def info(self, event: str, *, session: str = "", **fields: Any) -> None:
        self.write("info", event, session, fields)

    def warning(self, event: str, *, session: str = "", **fields: Any) -> None:
        self.write("warning", event, session, fields)

    def error(self, event: str, *, session: str = "", **fields: Any) -> None:
        self.write("error", event, session, fields)

    def output(self, process: str, text: str, *, session: str = "") -> None:
        """A line that a bot's process printed, at the level it says itself."""
        level: Level = "info"
        if said := _LOGURU.match(text):
            level = _LEVELS.get(said[1], "info")
        self.write(level, "output", session, {"process": process, "text": text})

    def write(self, level: Level, event: str, session: str, fields: dict[str, Any]) -> None:
        line = self._line(level, event, session, fields)
        if self.dropped > self._reported:
            missing = self.dropped - self._reported
            line = self._line("warning", "log-dropped", "", {"lines": missing}) + line
            if self._put(line):
                self._reported = self.dropped
            else:
                self.dropped += 1
        elif not self._put(line):
            self.dropped += 1

    def close(self) -> None:
        if self._file and self._fd is not None:
            os.close(self._fd)
        self._fd = None

    def _line(self, level: Level, event: str, session: str, fields: dict[str, Any]) -> bytes:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"ts": now, "level": level, "event": event, "session": session, "release": self._release}
        text = json.dumps(head | fields, ensure_ascii=False, default=str)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def _put(self, line: bytes) -> bool:
        try:
            fd = self._open(len(line))
            if fd is None:
                return False
            # A line cut short by a full disk must not swallow the next one.
            data = b"\n" + line if self._torn else line
            sent = os.write(fd, data)
            # Half a line is a lost line; a lost newline only is not.
            self._torn = sent < len(data) if sent else self._torn
            return sent >= len(data) - 1
        except OSError:
            return False

    def _open(self, more: int) -> int | None:
        if self._file is None:
            return self._fd
        if self._fd is not None:
            mine = os.fstat(self._fd)
            try:
                named = self._file.stat()
            except FileNotFoundError:
                named = None
            if named is None or (named.st_ino, named.st_dev) != (mine.st_ino, mine.st_dev):
                # Somebody else rotated it: the other release, or logrotate.
                self._shut()
            elif mine.st_size + more > self._max_bytes and mine.st_size:
                self._file.replace(self._file.with_name(self._file.name + ".1"))
                self._shut()
        if self._fd is None:
            self._fd = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            size = os.fstat(self._fd).st_size
            self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        return self._fd

    def _shut(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
