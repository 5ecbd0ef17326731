"""A connection's manners: how many there are, and how slowly a request may arrive."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from voicedeploy.serve.origins import Network, is_loopback, within

HEADERS_TIMEOUT_S = 10.0
LARGEST_HEADERS = 32 << 10
# Of a body that was refused before it was read.
REST_TIMEOUT_S = 5.0
LARGEST_REST = 16 << 20
CONNECTIONS_AT_MOST = 1024
CONNECTIONS_PER_ADDRESS = 64

_TOO_MANY_HEADERS = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for headers that never end."""

    trusted: ClassVar[Sequence[Network]] = ()
    """Proxies, which speak for everybody."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._reading: Literal["headers", "body", "nothing"] = "nothing"
        self._bytes = 0
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
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is None and self._answered():
            # Between two requests, or a body that nobody wanted. Its rest is read and thrown away, up to a point:
            # a connection closed upon its sender resets, and the sender would never see why it was refused.
            if self._reading == "body":
                self._start_timer(REST_TIMEOUT_S)
            else:
                self._await_headers()
        self._bytes += len(data)
        super().data_received(data)
        if self._timer is None or self.transport.is_closing():
            return
        if self._reading == "body":
            if self._bytes > LARGEST_REST:
                self.transport.abort()
        elif self._bytes > LARGEST_HEADERS:
            self._stop_timer()
            self.transport.write(_TOO_MANY_HEADERS)
            self.transport.close()

    def on_message_begin(self) -> None:
        if self._timer is None:
            self._await_headers()
        self._reading = "headers"
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._reading = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._reading = "nothing"
        super().on_message_complete()

    def _from(self, peer: str) -> int:
        return Counter(c.client[0] for c in self.connections if isinstance(c, GuardedProtocol) and c.client)[peer]

    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_headers(self) -> None:
        self._start_timer(HEADERS_TIMEOUT_S)

    def _start_timer(self, seconds: float) -> None:
        self._bytes = 0
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self.transport.abort()
