"""The stand-in's time: real time, and ahead of it by what a test has skipped."""

import asyncio
import time
from contextlib import suppress


class Clock:
    """`monotonic` and `sleep` are what the client takes for its clock: a client that sleeps skips time for all.

    It really sleeps `nap_s`, so that processes get on while it waits for them.
    """

    def __init__(self, nap_s: float = 0.01) -> None:
        self._nap_s = nap_s
        self._ahead = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._moved = asyncio.Event()
        self.slept: list[float] = []

    def belongs_to(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """From any thread."""
        self._ahead += seconds
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        time.sleep(self._nap_s)

    async def pause(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
