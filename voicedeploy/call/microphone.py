"""The caller's mouth: one 20 ms packet every 20 ms from the moment the connection stands, silence between turns."""

import asyncio
import time
from collections import deque
from typing import Any

import av
from aiortc import MediaStreamTrack

from voicedeploy.call.audio import FRAME, FRAME_S, TIME_BASE, Speech, silence


class Microphone(MediaStreamTrack):
    """Sends packets that were encoded beforehand, so that pacing costs no work.

    Frames keep to a fixed grid: one that is late does not move the next. `lateness` holds seconds, one per frame.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.lateness: list[float] = []
        self._silence = silence()
        self._speech: deque[tuple[bytes, asyncio.Future[float] | None]] = deque()
        self._began = 0.0
        self._frames = 0

    def say(self, speech: Speech) -> asyncio.Future[float]:
        """Speaks at the next frame; the future holds the monotonic time at which the last audible packet left."""
        said: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        for at, packet in enumerate(speech.packets):
            self._speech.append((packet, said if at == speech.last_audible else None))
        return said

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, when it is due. aiortc sends it at once after this returns."""
        if not self._frames:
            self._began = time.monotonic()
        due = self._began + self._frames * FRAME_S
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        payload, said = self._speech.popleft() if self._speech else (self._silence, None)
        packet: av.Packet[Any] = av.Packet(payload)
        packet.pts, packet.time_base = self._frames * FRAME, TIME_BASE
        self._frames += 1
        now = time.monotonic()
        self.lateness.append(now - due)
        if said is not None and not said.done():
            said.set_result(now)
        return packet
