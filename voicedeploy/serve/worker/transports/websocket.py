"""A WebSocket that the front let in: this process answers its handshake and speaks with the client itself.

Nothing of the call goes through the front then, and what holds the front up holds up no call.
"""

import asyncio
import base64
import importlib
import inspect
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from .. import resampling
from ..config import Session
from ..log import log
from ..wire import Message
from . import Host, Rejected, Transport, Unusable

if TYPE_CHECKING:
    from starlette.websockets import WebSocket
    from websockets.frames import Frame
    from websockets.server import ServerProtocol

# A client that is there answers pings; carriers send media all the time besides.
PING_S = 5.0
SILENCE_S = 15.0

# How long the client's own word of farewell is waited for.
FAREWELL_S = 0.5

LONGEST_MESSAGE = 1 << 20
# Messages of a client that the bot has not read yet: 5 s of sound.
UNREAD_AT_MOST = 256

PLAIN = "websocket"
GOING_AWAY = 1001
NORMAL = 1000


def prepare() -> None:
    for name in ("websockets.server", "starlette.websockets", "pipecat.transports.websocket.fastapi"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise Unusable(f"{error}; the bot needs the package pipecat-ai[websocket]") from None


def lighten() -> None:
    resampling.answer_at_once()


async def rehearse() -> None:
    """Imports the carriers' serializers, which Pipecat does when the first call comes."""
    for name in (*resampling.CARRIERS, "protobuf"):
        importlib.import_module(f"pipecat.serializers.{name}")


def open_transport(session: Session, host: Host) -> Transport:
    return Socket(session, host)


class Socket:
    def __init__(self, session: Session, host: Host) -> None:
        self._session = session
        self._host = host
        self._wire: _Wire | None = None

    async def ask(self, question: Message) -> Any:
        if question["op"] != "socket":
            raise Rejected("failed", f"cannot {question['op']}")
        (descriptor,) = question["descriptors"]
        sock = socket.socket(fileno=descriptor)
        if self._wire is not None:
            sock.close()
            raise Rejected("taken", "this call has its socket")
        sock.setblocking(False)
        self._wire = wire = _Wire(self._host)
        handshake = base64.b64decode(question["handshake"])
        await asyncio.get_running_loop().connect_accepted_socket(lambda: wire, sock)
        websocket = await wire.accept(handshake, question["client"])
        self._host.state("connected")
        self._host.start(self._runner_args(websocket))
        return {}

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.hang_up()

    def _runner_args(self, websocket: "WebSocket") -> Any:
        from pipecat.runner.types import WebSocketRunnerArguments

        args = {
            "websocket": websocket,
            # Which carrier it is, Pipecat reads from the first messages, with what they say of the call.
            "transport_type": PLAIN if self._session.transport == PLAIN else None,
            "body": self._session.body,
            "session_id": self._session.session_id,
        }
        known = inspect.signature(WebSocketRunnerArguments).parameters
        return WebSocketRunnerArguments(**{name: value for name, value in args.items() if name in known})


class _Wire(asyncio.Protocol):
    """The connection, and what Starlette calls `receive` and `send`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._protocol: ServerProtocol | None = None
        self._state: Literal["handshake", "open", "closing", "gone"] = "handshake"
        self._heard_at = time.monotonic()
        self._messages: deque[Message] = deque([{"type": "websocket.connect"}])
        self._news = asyncio.Event()
        self._parts: list[bytes] = []
        self._text = False
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        self._pinging: asyncio.Task[None] | None = None

    async def accept(self, handshake: bytes, client: list[Any] | None) -> "WebSocket":
        """Raises `Rejected` for a request that is no handshake; the client is told by then."""
        from starlette.websockets import WebSocket
        from websockets.http11 import Request
        from websockets.protocol import State
        from websockets.server import ServerProtocol

        self._protocol = protocol = ServerProtocol(max_size=LONGEST_MESSAGE)
        protocol.receive_data(handshake)
        (request,) = protocol.events_received() or (None,)
        if not isinstance(request, Request):
            self._abort()
            raise Rejected("failed", f"no handshake: {protocol.parser_exc or protocol.handshake_exc}")
        protocol.send_response(protocol.accept(request))
        self._flush()
        if protocol.state is not State.OPEN:
            self._abort()
            raise Rejected("failed", f"no handshake: {protocol.handshake_exc}")
        self._state = "open"
        self._pinging = asyncio.create_task(self._ping())
        path, _, query = request.path.partition("?")
        websocket = WebSocket(
            {
                "type": "websocket",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "scheme": "ws",
                "path": path,
                "raw_path": path.encode(),
                "root_path": "",
                "query_string": query.encode(),
                "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.raw_items()],
                "client": tuple(client) if client else None,
                "server": None,
                "subprotocols": [],
                "state": {},
                "extensions": {},
            },
            self._receive,
            self._send,
        )
        await websocket.accept()
        return websocket

    async def hang_up(self, code: int = GOING_AWAY, reason: str = "") -> None:
        """Says goodbye, waits a moment for the answer, and closes. The bot hears of it as of a client that left."""
        if self._state == "open":
            self._state = "closing"
            assert self._protocol
            self._protocol.send_close(code, reason)
            self._flush()
            self._news.set()
        if self._state == "closing":
            try:
                await asyncio.wait_for(self._lost.wait(), FAREWELL_S)
            except TimeoutError:
                self._abort()

    # What Starlette asks

    async def _receive(self) -> Message:
        while not self._messages:
            if self._state != "open":
                return {"type": "websocket.disconnect", "code": self._code(), "reason": ""}
            self._news.clear()
            await self._news.wait()
        message = self._messages.popleft()
        if self._paused and len(self._messages) < UNREAD_AT_MOST // 2:
            self._paused = False
            if self._transport:
                self._transport.resume_reading()
        return message

    async def _send(self, message: Any) -> None:
        match message["type"]:
            case "websocket.send":
                await self._writable.wait()
                if self._state != "open" or self._protocol is None:
                    raise OSError("the client is gone")
                if (text := message.get("text")) is not None:
                    self._protocol.send_text(text.encode())
                else:
                    self._protocol.send_binary(message["bytes"])
                self._flush()
            case "websocket.close":
                await self.hang_up(message.get("code") or NORMAL, message.get("reason") or "")

    # What the connection says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        if self._protocol is None:
            return
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            self._take(event)

    def eof_received(self) -> bool:
        if self._protocol is not None:
            self._protocol.receive_eof()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        was = self._state
        self._state = "gone"
        self._writable.set()
        self._lost.set()
        self._news.set()
        if self._pinging:
            self._pinging.cancel()
        if was == "open":
            self._host.gone()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _take(self, event: Any) -> None:
        from websockets.frames import Opcode

        frame: Frame = event
        if frame.opcode is Opcode.CLOSE and self._state == "open":
            self._state = "closing"
            self._news.set()
            self._host.gone()
        if self._state != "open" or frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        self._messages.append(
            {"type": "websocket.receive", "text": data.decode("utf-8", "replace")}
            if self._text
            else {"type": "websocket.receive", "bytes": data}
        )
        self._news.set()
        if len(self._messages) >= UNREAD_AT_MOST and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()

    async def _ping(self) -> None:
        """Keeps proxies from closing a quiet connection, and notices a client that went without a word."""
        assert self._protocol
        while self._state == "open":
            await asyncio.sleep(PING_S)
            if self._state != "open":
                return
            if not self._paused and time.monotonic() - self._heard_at > SILENCE_S:
                log(f"nothing from the client for {SILENCE_S:.0f} s")
                self._abort()
                return
            self._protocol.send_ping(b"")
            self._flush()

    def _flush(self) -> None:
        if self._protocol is None or self._transport is None or self._transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                # Not closed yet: what the client still sends would be answered with a reset, which overtakes our words.
                self._transport.write_eof()
                asyncio.get_running_loop().call_later(FAREWELL_S, self._abort)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _code(self) -> int:
        code = self._protocol.close_code if self._protocol else None
        return 1005 if code is None else code
