"""A caller: a real aiortc peer that sends a tone and listens."""

import asyncio
import fractions
import time
from typing import Any

import aioice.ice
import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from tests.serve.worker.rig import PATIENCE_S, Line, Message

LOUD = 1000
SAMPLES = 960


def on_loopback() -> None:
    """Makes callers of this process offer 127.0.0.1, which aioice by itself never does."""
    vars(aioice.ice)["get_host_addresses"] = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.start = time.monotonic()
        self.count = 0

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self.start + self.count * 0.02 - time.monotonic()))
        phase = 2 * np.pi * 200 * (np.arange(SAMPLES) + self.count * SAMPLES) / 48000
        frame = av.AudioFrame.from_ndarray((3000 * np.sin(phase)).astype(np.int16)[None], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.count * SAMPLES, fractions.Fraction(1, 48000)
        self.count += 1
        return frame


class Peer:
    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.frames = asyncio.Semaphore(0)
        self.pc_id: str | None = None
        self.answer: Message = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._new()

    def _new(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTrack(Tone())
        self.channel = self.pc.createDataChannel("chat")
        self.heard.clear()

        @self.pc.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            task = asyncio.create_task(self._listen(track))
            self._tasks.add(task)

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            self.frames.release()
            if np.abs(frame.to_ndarray().astype(int)).max() > LOUD:
                self.heard.set()

    async def offer(self, line: Line, **values: Any) -> Message:
        """Offers, and takes the answer if there is one; the reply either way."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        description = self.pc.localDescription
        reply = await line.ask("offer", sdp=description.sdp, type=description.type, **values)
        if answer := reply.get("answer"):
            self.answer = answer
            self.pc_id = answer["pc_id"]
            await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        return reply

    async def hear(self) -> None:
        await asyncio.wait_for(self.heard.wait(), PATIENCE_S)

    async def more(self, frames: int) -> None:
        """Waits for that many frames from now on."""
        self.frames = asyncio.Semaphore(0)
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(frames):
                await self.frames.acquire()

    async def call(self, line: Line, **values: Any) -> Message:
        reply = await self.offer(line, **values)
        assert "answer" in reply, reply
        await line.wait(event="state", state="connected")
        await self.hear()
        return reply

    async def restart(self, line: Line) -> Message:
        """What the JS client does when its network changed: a new peer connection for the same session."""
        old = self.pc
        self._new()
        reply = await self.offer(line, pc_id=self.pc_id, restart_pc=True)
        await old.close()
        return reply

    def vanish(self) -> None:
        """Not another packet: what a client does whose machine loses power."""
        for sender in self.pc.getSenders():
            ice = sender.transport.transport
            connection: Any = ice._connection
            for protocol in connection._protocols:
                protocol.transport.abort()
            if connection._query_consent_task:
                connection._query_consent_task.cancel()

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
