"""The caller's voice on a socket: one message each 20 ms (or what the protocol wants), silence between turns."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from voicedeploy.call.audio import AUDIBLE, Samples, Speech, peak_of, samples_of
from voicedeploy.call.lines.line import Said
from voicedeploy.call.lines.socket.wire import Message, Wire

STEP_S = 0.02
"""What is said is timed so finely, however much one message holds."""


@dataclass(frozen=True)
class _Step:
    samples: Samples
    said: Said | None = None
    first: bool = False
    last: bool = False


class Mouth:
    """Keeps to a fixed grid: a frame that is late does not move the next. `lateness` holds seconds, one per frame."""

    def __init__(self, wire: Wire) -> None:
        self.lateness: list[float] = []
        self._wire = wire
        self._step = round(wire.rate * STEP_S)
        self._steps = round(wire.frame_s / STEP_S)
        self._silence = _Step(np.zeros(self._step, np.int16))
        self._speech: deque[_Step] = deque()

    def say(self, speech: Speech) -> Said:
        said = Said()
        samples = samples_of(speech, self._wire.rate)
        padded = np.concatenate([samples, np.zeros(-samples.size % self._step, np.int16)])
        pieces = np.split(padded, max(1, padded.size // self._step))
        audible = [at for at, piece in enumerate(pieces) if peak_of(piece) >= AUDIBLE] or [0]
        self._speech.extend(
            _Step(piece, said, first=at == audible[0], last=at == audible[-1]) for at, piece in enumerate(pieces)
        )
        return said

    async def speak(self, send: Callable[[Message], Awaitable[None]]) -> None:
        """Until it is cancelled."""
        began, frames = time.monotonic(), 0
        while True:
            due = began + frames * self._wire.frame_s
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            steps = [self._speech.popleft() if self._speech else self._silence for _ in range(self._steps)]
            await send(self._wire.media(np.concatenate([step.samples for step in steps])))
            left = time.monotonic()
            self.lateness.append(left - due)
            frames += 1
            for behind, step in enumerate(reversed(steps)):
                _note(step, left - behind * STEP_S)


def _note(step: _Step, at: float) -> None:
    """A message is sent when its last step has been spoken; the ones before were spoken before."""
    if step.said is not None and step.first:
        step.said.began = at
    if step.said is not None and step.last:
        step.said.ended = at
