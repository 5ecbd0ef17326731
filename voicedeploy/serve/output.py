"""What a process writes to its standard output and error, line by line."""

import asyncio
import os
from collections.abc import Callable

LONGEST_LINE = 16 << 10


class Output:
    """Owns `fd`, the reading end of a pipe. Longer lines than `LONGEST_LINE` bytes come in pieces."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self.closed = False
        self._loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Reads what the pipe still holds, then closes it."""
        if self.closed:
            return
        while not self.closed and self._read():
            pass
        self._finish()

    def _finish(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._rest:
            self._emit(self._rest)

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, 1 << 16)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._finish()
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) > LONGEST_LINE:
            piece, self._rest = self._rest[:LONGEST_LINE], self._rest[LONGEST_LINE:]
            self._emit(piece)
        return True

    def _emit(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), LONGEST_LINE):
            text = line[start : start + LONGEST_LINE].decode("utf-8", "replace").rstrip()
            if text:
                self._on_line(text)
