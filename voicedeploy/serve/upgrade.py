"""Requests for a WebSocket: they pass the same routes as all others, and a route may take their connection over.

See docs/decisions/0008: the front reads no media. It hands the connection itself to the call's process, which answers
the handshake.
"""

import asyncio
import http
import os
import socket
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

CONNECTION = "voicedeploy.connection"
LARGEST_HANDSHAKE = 32 << 10


class Connection:
    """A connection whose handshake has been read and not answered."""

    def __init__(self, sock: socket.socket, handshake: bytes, client: tuple[str, int] | None) -> None:
        self._sock = sock
        self.handshake = handshake
        self.client = client

    def descriptor(self) -> int:
        """A duplicate, the caller's to close. The front's own is closed when the route has answered `Taken`."""
        return os.dup(self._sock.fileno())


class Taken(Response):
    """The answer of a route whose connection has another owner now: says nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return


class Upgrade(asyncio.Protocol):
    """What uvicorn gives such a request to: one that lives as long as the question who takes the connection."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._app = config.loaded_app
        self._connections: set[Any] = server_state.connections
        self._working: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        # From here on every byte is the next owner's.
        transport.pause_reading()
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._working is None:
            self._working = asyncio.create_task(self._answer(data))

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)

    def shutdown(self) -> None:
        """uvicorn's wish; the question is answered in a moment anyway."""

    async def _answer(self, handshake: bytes) -> None:
        answer = _Answer()
        try:
            await self._app(self._scope(handshake), _nothing, answer.take)
        finally:
            if answer.said:
                self._transport.write(answer.text())
                self._transport.close()
            else:
                self._transport.abort()

    def _scope(self, handshake: bytes) -> Scope:
        head, _, _ = handshake.partition(b"\r\n\r\n")
        request, *lines = head.split(b"\r\n")
        method, target, _ = request.split(b" ", 2)
        path, _, query = target.partition(b"?")
        named = (line.partition(b":") for line in lines)
        peer = self._transport.get_extra_info("peername")
        client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        sock = self._transport.get_extra_info("socket")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method.decode("ascii", "replace"),
            "scheme": "http",
            "path": path.decode("ascii", "replace"),
            "raw_path": path,
            "root_path": "",
            "query_string": query,
            "headers": [(name.strip().lower(), value.strip()) for name, _, value in named],
            "client": client,
            "server": None,
            CONNECTION: Connection(sock, handshake, client),
        }


class _Answer:
    def __init__(self) -> None:
        self.said = False
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    async def take(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.said = True
            self._status = message["status"]
            self._headers = [*message["headers"]]
        else:
            self._body += message.get("body", b"")

    def text(self) -> bytes:
        lines = [f"HTTP/1.1 {self._status} {http.HTTPStatus(self._status).phrase}".encode(), b"connection: close"]
        lines += [name + b": " + value for name, value in self._headers]
        return b"\r\n".join([*lines, b"", self._body])


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
