"""Older releases that still drain: what concerns their calls is passed on to them."""

import ssl
from collections.abc import Sequence
from pathlib import Path

import httpx
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from voicedeploy.serve.shapes import Listening, Status

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
    def _clients(self) -> list[httpx.AsyncClient]:
        found = sorted(self._folder.glob("*/front.sock")) if self._folder else []
        return [self._client(socket) for socket in (*self._sockets, *found) if socket != self._own]

    def _client(self, socket: Path) -> httpx.AsyncClient:
        if socket not in self._known:
            self._known[socket] = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(socket), verify=no_tls()),
                base_url="http://peer",
                timeout=TIMEOUT_S,
            )
        return self._known[socket]

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
