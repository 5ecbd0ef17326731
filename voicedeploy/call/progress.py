"""How far many calls are."""

from collections.abc import Callable
from dataclasses import dataclass

from voicedeploy.call.run import Run


@dataclass(frozen=True)
class Progress:
    """`call` counts from 0; `run` is set when that call has ended."""

    done: int
    total: int
    call: int
    text: str
    run: Run | None = None


class Count:
    """Tells how far it is."""

    def __init__(self, total: int, tell: Callable[[Progress], None]) -> None:
        self._total, self._tell, self._done = total, tell, 0

    def text(self, number: int, text: str) -> None:
        self._tell(Progress(self._done, self._total, number, text))

    def ended(self, number: int, run: Run) -> None:
        self._done += 1
        self._tell(Progress(self._done, self._total, number, "ok" if run.ok else "failed", run))
