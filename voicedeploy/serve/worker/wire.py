"""One end of a conversation with the front: one JSON object a line over a unix stream socket."""

import json
import os
import select
import socket
import threading
from collections import deque
from typing import Any

Message = dict[str, Any]

_CHUNK = 1 << 16


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """Sends whole lines from any thread; reads from one thread only."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""
        self._fds: deque[int] = deque()
        self._sending = threading.Lock()

    @classmethod
    def from_fd(cls, fd: int) -> "Channel":
        os.set_inheritable(fd, False)
        return cls(socket.socket(fileno=fd))

    def send(self, message: Message) -> None:
        """Says nothing if nobody listens any more: the reader learns that, and ends the process."""
        line = json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"
        with self._sending:
            try:
                self.sock.sendall(line)
            except OSError:
                return

    def receive(self, timeout_s: float | None) -> list[Message]:
        """The messages that came within `timeout_s` (None waits without end); raises `Closed` at end of file."""
        readable, _, _ = select.select([self.sock], [], [], timeout_s)
        if not readable:
            return []
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, _CHUNK, 8)
        except ConnectionError:
            raise Closed from None
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds.extend(fds)
        if not data:
            raise Closed
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def descriptors(self, count: int) -> list[int]:
        """The next `count` descriptors that came with a message; they come in the order of the messages."""
        return [self._fds.popleft() for _ in range(count)]

    def close(self) -> None:
        self.sock.close()
        while self._fds:
            os.close(self._fds.popleft())
