"""Callers on hold, first come, first served. Pure but for the clock."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Who has not asked again for so long has hung up.
GONE_S = 30.0
# So long a free slot is kept for a caller who hears the announcement and will ask again after it.
KEPT_S = 15.0


@dataclass
class _Caller:
    since: int
    order: int
    seen: float
    asking: int = 0


class Queue:
    """`len` is how many hold."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._callers: dict[str, _Caller] = {}
        self._order = itertools.count()

    @contextlib.contextmanager
    def asking(self, call_id: str, since: int) -> Iterator[None]:
        """While it lasts the caller waits for an answer. `since`: the Unix time of its first request, in seconds;
        another front may have answered that."""
        caller = self._callers.setdefault(call_id, _Caller(since, next(self._order), self._clock()))
        caller.asking += 1
        try:
            yield
        finally:
            caller.asking -= 1
            caller.seen = self._clock()

    def place(self, call_id: str) -> int:
        """How many callers have an earlier right to a slot that is free now."""
        self._forget()
        own = self._callers[call_id]
        return sum(self._rank(caller) < self._rank(own) and self._near(caller) for caller in self._callers.values())

    def leave(self, call_id: str) -> None:
        self._callers.pop(call_id, None)

    def __len__(self) -> int:
        self._forget()
        return len(self._callers)

    @staticmethod
    def _rank(caller: _Caller) -> tuple[int, int]:
        return caller.since, caller.order

    def _near(self, caller: _Caller) -> bool:
        return caller.asking > 0 or self._clock() - caller.seen <= KEPT_S

    def _forget(self) -> None:
        now = self._clock()
        for call_id, caller in list(self._callers.items()):
            if not caller.asking and now - caller.seen > GONE_S:
                del self._callers[call_id]
