"""For what other processes do in their own time."""

import time
from collections.abc import Callable


def until(true: Callable[[], bool], within_s: float = 60, pause_s: float = 0.02) -> None:
    """Looks often at first, then ever less: to look may be a command that takes the processor."""
    began = time.monotonic()
    while not true():
        waited = time.monotonic() - began
        assert waited < within_s, f"it did not come true within {within_s:g} s"
        time.sleep(max(pause_s, min(waited / 10, 1)))


def soon(true: Callable[[], bool]) -> None:
    until(true, within_s=10)
