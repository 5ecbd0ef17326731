"""A connection's manners: how many there are, and how slowly a request may arrive."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from voicedeploy.serve.origins import Network, is_loopback, within

HEADERS_TIMEOUT_S = 10.0
LARGEST_HEADERS = 32 << 10
CONNECTIONS_AT_MOST = 1024
CONNECTIONS_PER_ADDRESS = 64

_TOO_MANY_HEADERS = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for headers that never end."""

    trusted: ClassVar[Sequence[Network]] = ()
    """Proxies, which speak for everybody."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        peer = self.client[0] if self.client else ""
        if len(self.connections) > CONNECTIONS_AT_MOST or (
            peer
            and not is_loopback(peer)
            and not within(peer, self.trusted)
            and self._from(peer) > CONNECTIONS_PER_ADDRESS
        ):
            transport.abort()
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._between_requests() and self._waiting is None:
            self._await_headers()
        if self._waiting is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._waiting is not None and self._header_bytes > LARGEST_HEADERS:
            self._headers_came()
            self.transport.write(_TOO_MANY_HEADERS)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def _from(self, peer: str) -> int:
        return Counter(c.client[0] for c in self.connections if isinstance(c, GuardedProtocol) and c.client)[peer]

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_headers(self) -> None:
        self._header_bytes = 0
        self._waiting = self.loop.call_later(HEADERS_TIMEOUT_S, self._too_slow)

    def _headers_came(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        self._waiting = None
        self.transport.abort()
