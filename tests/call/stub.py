"""A front in the test's own process: real HTTP, real WebRTC by aiortc, and every fault on demand."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicedeploy.call import Callee

RATE = 48_000


class Mouth(MediaStreamTrack):
    """Silence, and a tone of half a second whenever it is told to speak."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.first_spoken: float | None = None
        self._left = 0
        self._sent = 0
        self._began = 0.0

    def speak(self) -> None:
        self._left = 25

    async def recv(self) -> av.AudioFrame:
        if not self._sent:
            self._began = time.monotonic()
        if (wait := self._began + self._sent * 0.02 - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        samples = np.zeros(960, np.int16)
        if self._left:
            self._left -= 1
            samples = (6000 * np.sin(2 * np.pi * 440 * np.arange(960) / RATE)).astype(np.int16)
            self.first_spoken = self.first_spoken or time.monotonic()
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent * 960, Fraction(1, RATE)
        self._sent += 1
        return frame


@dataclass
class Front:
    """`refuses` maps the last word of a path to a refusal, given `refusals` times and then no more."""

    greets_after_s: float | None = 0.0
    answers_after_s: float | None = 0.3
    refuses: dict[str, Response] = field(default_factory=dict)
    refusals: int = 1000
    blind: bool = False
    """Answers, but sends no ICE checks of its own: as if its packets were dropped on the way."""
    rewrite: Callable[[str], str] = lambda sdp: sdp
    ice_servers: list[dict[str, Any]] = field(default_factory=list)
    relay_only: bool = False
    start_delay_s: float = 0.0
    hangs_up_after_s: float | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(method, path, Authorization) of every request of a call."""
    mouth: Mouth = field(default_factory=Mouth)
    start_received: float = 0.0
    caller_quiet_at: float = 0.0
    _peers: list[RTCPeerConnection] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def handle(self, request: Request) -> Response:
        now = time.monotonic()
        last = request.url.path.rsplit("/", 1)[-1]
        if last == "page.json":
            return JSONResponse({"name": "stub", "transport": "webrtc"})
        self.asked.append((request.method, request.url.path, request.headers.get("authorization", "")))
        if (refusal := self.refuses.get(last)) and self.refusals:
            self.refusals -= 1
            return refusal
        match last:
            case "token":
                return JSONResponse({"token": "START", "expires_in_s": 60})
            case "start":
                self.start_received = now
                await asyncio.sleep(self.start_delay_s)
                policy = {"iceTransportPolicy": "relay"} if self.relay_only else {}
                return JSONResponse({"sessionId": "s1", "iceConfig": {"iceServers": self.ice_servers, **policy}})
            case "offer":
                return await self._offer(await request.json())
        return JSONResponse({"error": {"code": "not-found", "message": "no such path", "hint": ""}}, 404)

    async def _offer(self, offer: dict[str, str]) -> Response:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(pc)
        pc.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._listen(track))))
        pc.on("connectionstatechange", lambda: self._changed(pc))
        sdp = without_candidates(offer["sdp"]) if self.blind else offer["sdp"]
        await pc.setRemoteDescription(RTCSessionDescription(sdp, offer["type"]))
        pc.getTransceivers()[0].sender.replaceTrack(self.mouth)
        pc.getTransceivers()[0].direction = "sendrecv"
        await pc.setLocalDescription(await pc.createAnswer())
        return JSONResponse({"sdp": self.rewrite(pc.localDescription.sdp), "type": "answer", "pc_id": "p1"})

    def _changed(self, pc: RTCPeerConnection) -> None:
        if pc.connectionState == "connected":
            self._tasks.append(asyncio.ensure_future(self._greet(pc)))

    async def _greet(self, pc: RTCPeerConnection) -> None:
        if self.hangs_up_after_s is not None:
            await asyncio.sleep(self.hangs_up_after_s)
            await pc.close()
        elif self.greets_after_s is not None:
            await asyncio.sleep(self.greets_after_s)
            self.mouth.speak()

    async def _listen(self, track: MediaStreamTrack) -> None:
        """Answers when the caller was loud and then quiet for 100 ms."""
        if track.kind != "audio":
            return
        loud: float | None = None
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.AudioFrame)
            if int(np.abs(frame.to_ndarray().astype(int)).max()) > 500:
                loud = time.monotonic()
            elif loud is not None and time.monotonic() - loud > 0.1:
                self.caller_quiet_at, loud = loud, None
                if self.answers_after_s is not None:
                    await asyncio.sleep(self.answers_after_s - 0.1)
                    self.mouth.speak()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pc in self._peers:
            await pc.close()


@asynccontextmanager
async def running(front: Front) -> AsyncIterator[Callee]:
    """The front on a free port of 127.0.0.1, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    methods = ["GET", "POST", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", front.handle, methods=methods)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.005)
        yield Callee.parse(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    finally:
        await front.close()
        server.should_exit = True
        await serving
        listener.close()


def error(status: int, code: str, message: str, hint: str = "", **headers: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status, headers)


def without_candidates(sdp: str) -> str:
    return "\r\n".join(line for line in sdp.split("\r\n") if not line.startswith("a=candidate"))
