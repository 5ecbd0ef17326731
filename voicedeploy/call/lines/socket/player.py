"""The bot's sound as its listener hears it: a carrier collects what comes and plays it in its own time.

A bot may send faster than it speaks. What has come and is not yet played can still be taken back by a clear; what is
heard is what was played, and when.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from voicedeploy.call.audio import AUDIBLE, Samples, peak_of
from voicedeploy.call.ear import Ear
from voicedeploy.call.rtp import CLOCK, Packet

PIECE_S = 0.02
PAUSE_S = 0.5
ROUNDING_S = 0.001


@dataclass(frozen=True)
class _Piece:
    due: float
    seconds: float
    peak: int


@dataclass(frozen=True)
class _Mark:
    due: float
    name: str


class Player:
    """Tells `ear` of each 20 ms at the moment they are played, and `played` of each mark that is reached.

    There is no jitter buffer: sound that comes while nothing is playing is played at once. If the buffer runs dry in
    the middle of a sound (audible before and after, for less than half a second), a listener hears a hole, and the
    health of the audio counts it as a gap; any other silence is a pause that the bot made.
    """

    def __init__(self, ear: Ear, played: Callable[[str], None]) -> None:
        self.ahead_s = 0.0
        self._ear = ear
        self._tell = played
        self._queue: deque[_Piece | _Mark] = deque()
        self._until = 0.0
        """When all that has come will have been played."""
        self._timer: asyncio.TimerHandle | None = None
        self._sequence = 0
        self._media = 0.0
        """The media clock at the end of what was played, in seconds."""
        self._silent_from = 0.0
        self._audible = False

    def take(self, samples: Samples, rate: int) -> None:
        now = time.monotonic()
        due = max(self._until, now)
        step = max(1, round(rate * PIECE_S))
        for at in range(0, samples.size, step):
            piece = samples[at : at + step]
            self._queue.append(_Piece(due, piece.size / rate, peak_of(piece)))
            due += piece.size / rate
        self._until = due
        self.ahead_s = max(self.ahead_s, due - now)
        self._settle()

    def mark(self, name: str) -> None:
        self._queue.append(_Mark(max(self._until, time.monotonic()), name))
        self._settle()

    def clear(self) -> list[str]:
        """Forgets what is not yet played; the names of the marks among it."""
        self._settle()
        waiting = [item.name for item in self._queue if isinstance(item, _Mark)]
        self._queue.clear()
        self._until = self._silent_from
        self._audible = False
        return waiting

    def stop(self) -> None:
        self.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _settle(self) -> None:
        now = time.monotonic()
        while self._queue and self._queue[0].due <= now:
            item = self._queue.popleft()
            if isinstance(item, _Mark):
                self._tell(item.name)
            else:
                self._play(item)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._queue[0].due - now), self._settle)

    def _play(self, piece: _Piece) -> None:
        audible = piece.peak >= AUDIBLE
        dry = piece.due - self._silent_from if self._sequence else 0.0
        if dry > ROUNDING_S and not (audible and self._audible and dry < PAUSE_S):
            self._media += dry
        timestamp = round(self._media * CLOCK) & 0xFFFFFFFF
        self._ear.hear(Packet(0, self._sequence & 0xFFFF, timestamp, piece.due, piece.peak, audible))
        self._sequence += 1
        self._media += piece.seconds
        self._silent_from = piece.due + piece.seconds
        self._audible = audible
