"""The caller's mouth: one 20 ms packet every 20 ms from the moment the connection stands, silence between turns."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import av
from aiortc import MediaStreamTrack

from voicedeploy.call.audio import FRAME, FRAME_S, TIME_BASE, Speech, silence
from voicedeploy.call.lines.line import Said


class Microphone(MediaStreamTrack):
    """Sends packets that were encoded beforehand, so that pacing costs no work.

    Frames keep to a fixed grid: one that is late does not move the next. `lateness` holds seconds, one per frame.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.lateness: list[float] = []
        self._silence = silence()
        self._speech: deque[tuple[bytes, Callable[[float], None] | None]] = deque()
        self._began = 0.0
        self._frames = 0

    def say(self, speech: Speech) -> Said:
        """Speaks at the next frame."""
        said = Said()
        for at, packet in enumerate(speech.packets):
            self._speech.append((packet, _note(said, speech, at)))
        return said

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, when it is due. aiortc sends it at once after this returns."""
        if not self._frames:
            self._began = time.monotonic()
        due = self._began + self._frames * FRAME_S
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        payload, note = self._speech.popleft() if self._speech else (self._silence, None)
        packet: av.Packet[Any] = av.Packet(payload)
        packet.pts, packet.time_base = self._frames * FRAME, TIME_BASE
        self._frames += 1
        now = time.monotonic()
        self.lateness.append(now - due)
        if note is not None:
            note(now)
        return packet


def _note(said: Said, speech: Speech, at: int) -> Callable[[float], None] | None:
    """What to write down when the packet at this place leaves."""
    if at not in (speech.first_audible, speech.last_audible):
        return None

    def note(left: float) -> None:
        if at == speech.first_audible:
            said.began = left
        if at == speech.last_audible:
            said.ended = left

    return note
