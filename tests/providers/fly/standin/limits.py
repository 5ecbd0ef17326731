"""Fly's limits: 1 request a second for each action of each machine or app, 3 at once; GET of a machine 5 and 10."""

from collections.abc import Callable

_USUAL = (1.0, 3.0)
_LOOKING = (5.0, 10.0)
_UNLIMITED = frozenset({"log.read", "token.current"})


class Limits:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, action: str, key: str) -> bool:
        if action in _UNLIMITED:
            return True
        rate, burst = _LOOKING if action == "machine.get" else _USUAL
        now = self._now()
        left, at = self._left.get((action, key), (burst, now))
        left = min(burst, left + (now - at) * rate)
        granted = left >= 1.0
        self._left[action, key] = (left - 1.0 if granted else left, now)
        return granted
