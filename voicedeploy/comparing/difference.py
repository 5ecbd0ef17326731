"""How much later one side is than the other, and whether that could be chance. Pure.

Two calls of one round are minutes apart at most, so what slows both is in both, and not in their difference. Of those
differences, one a round, the median is taken: a call that met a hiccup does not move it. Its interval is the sign test
turned round: of n differences, each is above the true median or below it like a coin, whatever their distribution is.
Nothing is assumed of the noise but that rounds do not depend on each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any

from voicedeploy.call.run import rounded

CONFIDENCE = 0.99
FRAME_MS = 20.0
"""What a packet of sound holds. Less than this cannot be told apart, however often it is measured."""
FEWEST = 8
"""Rounds, below which no interval has that confidence."""


@dataclass(frozen=True)
class Difference:
    """Milliseconds; above 0 is later. `low` and `high` hold the true median in 99 of 100 comparisons, and are None for
    fewer than eight rounds."""

    median: float
    low: float | None
    high: float | None
    rounds: int

    @classmethod
    def of(cls, differences: Iterable[float]) -> "Difference | None":
        """One difference a round; None where there is no round."""
        ordered = sorted(differences)
        if not ordered:
            return None
        outside = _outside(len(ordered))
        inside = ordered[outside - 1 : len(ordered) - outside + 1] if outside else []
        return cls(
            median(ordered), inside[0] if inside else None, inside[-1] if inside else None, len(ordered)
        )  # fmt: skip

    @property
    def found(self) -> bool:
        """Too large for chance, and for the grid of packets."""
        if self.low is None or self.high is None:
            return False
        return (self.low > 0 or self.high < 0) and abs(self.median) >= FRAME_MS

    def to_json(self) -> dict[str, Any]:
        return {
            "median_ms": rounded(self.median),
            "low_ms": rounded(self.low),
            "high_ms": rounded(self.high),
            "confidence": CONFIDENCE,
            "rounds": self.rounds,
            "found": self.found,
        }


def _outside(count: int) -> int:
    """The interval goes from this smallest to this largest of `count` values; 0: there is none."""
    rank, below = 0, 0
    while rank < count and 2 * (below + comb(count, rank)) <= (1 - CONFIDENCE) * 2**count:
        below += comb(count, rank)
        rank += 1
    return rank
