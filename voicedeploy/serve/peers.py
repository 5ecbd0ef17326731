"""Older releases that still drain: what concerns their calls is passed on to them."""

import asyncio
import socket
import ssl
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from voicedeploy.serve.shapes import Listening, Status
from voicedeploy.serve.upgrade import Connection

# Marks a request that a front passed on: whoever gets it passes nothing on.
FORWARDED = "x-voicedeploy-forwarded"
# An unknown call, in the words of the front that does not know it.
UNKNOWN = "x-voicedeploy-unknown"
TIMEOUT_S = 40.0
ASK_TIMEOUT_S = 2.0
_PASSED = ("content-type", "retry-after")


def no_tls() -> ssl.SSLContext:
    """For plain HTTP over a unix socket: the default context reads all certificate authorities, in 0.1 s."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Peers:
    """`sockets` are peers for good; those in `folder` (`*/front.sock`, without `own`) come and go."""

    def __init__(self, sockets: Sequence[Path], folder: Path | None = None, own: Path | None = None) -> None:
        self._sockets = tuple(sockets)
        self._folder = folder
        self._own = own
        self._known: dict[Path, httpx.AsyncClient] = {}

    @property
    def _paths(self) -> list[Path]:
        found = sorted(self._folder.glob("*/front.sock")) if self._folder else []
        return [path for path in (*self._sockets, *found) if path != self._own]

    @property
    def _clients(self) -> list[httpx.AsyncClient]:
        return [self._client(path) for path in self._paths]

    def _client(self, path: Path) -> httpx.AsyncClient:
        if path not in self._known:
            self._known[path] = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(path), verify=no_tls()),
                base_url="http://peer",
                timeout=TIMEOUT_S,
            )
        return self._known[path]

    async def forward(self, request: Request, body: bytes) -> Response | None:
        """The answer of the peer that knows the call; None if none does."""
        if request.headers.get(FORWARDED) and request.scope.get("private"):
            return None
        for client in self._clients:
            try:
                answer = await client.request(
                    request.method,
                    request.url.path,
                    content=body,
                    headers={"content-type": "application/json", FORWARDED: "1"},
                )
            except httpx.HTTPError:
                continue
            if UNKNOWN not in answer.headers:
                headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
                return Response(answer.content, status_code=answer.status_code, headers=headers)
        return None

    async def forward_socket(self, request: Request, connection: Connection) -> Coroutine[Any, Any, None] | None:
        """Offers a handshake to the peers; what carries the connection from here on if one of them knows the call."""
        if request.headers.get(FORWARDED) and request.scope.get("private"):
            return None
        head, _, rest = connection.handshake.partition(b"\r\n\r\n")
        handshake = head + f"\r\n{FORWARDED}: 1\r\n\r\n".encode() + rest
        for path in self._paths:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    reader, writer = await asyncio.open_unix_connection(path)
                    writer.write(handshake)
                    answer = await reader.readuntil(b"\r\n\r\n")
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                continue
            if f"\r\n{UNKNOWN}:".encode() in answer.lower():
                writer.close()
                continue
            return _carry(connection.descriptor(), answer, reader, writer)
        return None

    async def listening(self) -> list[Listening]:
        """Where peers have their public listeners open."""
        found = []
        for client in self._clients:
            try:
                answer = await client.get("/status", timeout=ASK_TIMEOUT_S)
                status = Status.model_validate_json(answer.content)
            except (httpx.HTTPError, ValidationError):
                continue
            if status.listen:
                found.append(status.listen)
        return found

    async def close(self) -> None:
        for client in self._known.values():
            await client.aclose()


async def _carry(
    descriptor: int, answer: bytes, from_peer: asyncio.StreamReader, to_peer: asyncio.StreamWriter
) -> None:
    """Both ways, until one of them ends."""
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    from_client, to_client = await asyncio.open_connection(sock=sock)
    to_client.write(answer)
    ways = [asyncio.create_task(_pump(*way)) for way in ((from_client, to_peer), (from_peer, to_client))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        for writer in (to_peer, to_client):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
