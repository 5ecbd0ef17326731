"""One end of a wire: JSON lines over a stream socket, file descriptors beside them."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voicedeploy.serve.wire import LONGEST_LINE, Reply, Said, parse

# What a process may leave unread before it is taken for stuck.
LONGEST_BACKLOG = 4 * LONGEST_LINE


class ChannelClosed(Exception):
    """The other end is gone, or does not read."""


class Channel:
    """Owns `sock`. `on_message` gets each message, `on_closed` is called once, at end of file or at nonsense."""

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[Said | Reply], None],
        on_closed: Callable[[], None],
        on_nonsense: Callable[[str], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_message = on_message
        self._on_closed = on_closed
        self._on_nonsense = on_nonsense
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._unsent: list[tuple[bytes, Sequence[int]]] = []
        self._backlog = 0
        self.closed = False
        self._loop.add_reader(sock.fileno(), self._read)

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Sends in order, without waiting; `descriptors` are duplicated, so the caller may close its own.

        Raises `ChannelClosed`.
        """
        if self.closed:
            raise ChannelClosed
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if self._backlog + len(line) > LONGEST_BACKLOG:
            raise ChannelClosed("the process does not read")
        self._unsent.append((line, [os.dup(fd) for fd in descriptors]))
        self._backlog += len(line)
        if len(self._unsent) == 1:
            self._write()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, descriptors in self._unsent:
            for fd in descriptors:
                os.close(fd)
        self._unsent.clear()
        self._on_closed()

    def _write(self) -> None:
        while self._unsent:
            line, descriptors = self._unsent[0]
            try:
                sent = socket.send_fds(self._sock, [line], list(descriptors)) if descriptors else self._sock.send(line)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._sock.fileno(), self._write)
                return
            except OSError:
                # The reader sees the end of file too, after what the process still had to say.
                self._loop.remove_writer(self._sock.fileno())
                return
            for fd in descriptors:
                os.close(fd)
            self._backlog -= sent
            if sent == len(line):
                self._unsent.pop(0)
            else:
                self._unsent[0] = (line[sent:], ())
        self._loop.remove_writer(self._sock.fileno())

    def drain(self) -> None:
        """Takes what has already arrived."""
        while not self.closed and self._read():
            pass

    def _read(self) -> bool:
        try:
            data = self._sock.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        for line in lines:
            if not self.closed and line.strip():
                self._take(bytes(line))
        if len(rest) > LONGEST_LINE:
            self._on_nonsense(f"a line longer than {LONGEST_LINE} bytes")
            self.close()
        return True

    def _take(self, line: bytes) -> None:
        try:
            message = parse(line)
        except ValueError as error:
            self._on_nonsense(f"{line[:200]!r}: {str(error)[:200]}")
            return
        self._on_message(message)
