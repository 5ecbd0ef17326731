"""What a benchmark found: figures, ratios against their targets, and under which conditions."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

IDLE_PERCENT = 15.0
"""Of all cores: a machine that is busier is waited for."""


def median(values: Sequence[float]) -> float:
    """Raises ValueError for no values: a figure without a measurement is none."""
    if not values:
        raise ValueError("nothing was measured")
    return statistics.median(values)


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between the two nearest values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(frozen=True)
class Ratio:
    """`target` is the most the ratio may be, or the least with `at_least`."""

    name: str
    value: float
    target: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    def to_json(self) -> dict[str, Any]:
        bound = "at_least" if self.at_least else "at_most"
        return {"name": self.name, "value": round(self.value, 3), bound: self.target, "holds": self.holds}


Row = dict[str, str | float | int]


@dataclass
class Outcome:
    """`rows` are printed as a table, all with the same keys; `notes` below it."""

    name: str
    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "rows": self.rows,
            "ratios": [ratio.to_json() for ratio in self.ratios],
            "notes": self.notes,
            "details": self.details,
        }

    def to_text(self) -> str:
        lines = [self.name, "", *table(self.rows), ""]
        for ratio in self.ratios:
            mark, bound = ("✓" if ratio.holds else "✗"), ("≥" if ratio.at_least else "≤")
            lines.append(f"{mark} {ratio.name}: {ratio.value:.2f} ({bound} {ratio.target:.3g})")
        return "\n".join([*lines, *self.notes, ""])


def table(rows: Sequence[Row]) -> list[str]:
    """Columns as wide as their widest cell; numbers to the right."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    right = [all(isinstance(row[name], int | float) for row in rows) for name in names]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    ]


def _cell(value: str | float | int) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def tell(text: str) -> None:
    """Progress, beside the result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def wait_until_idle(patience_s: float = 180.0) -> float:
    """Percent of all cores that others use, once that is little or patience has ended."""
    deadline = time.monotonic() + patience_s
    while (busy := psutil.cpu_percent(interval=2)) > IDLE_PERCENT and time.monotonic() < deadline:
        tell(f"waiting: the machine is {busy:.0f} % busy")
    return busy


@dataclass(frozen=True)
class CpuTimes:
    """Jiffies of the whole machine since it started, from the first line of /proc/stat."""

    total: int
    stolen: int

    @classmethod
    def parse(cls, stat: str) -> "CpuTimes":
        """`cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests count as users already."""
        fields = [int(part) for part in stat.splitlines()[0].split()[1:9]]
        return cls(sum(fields), fields[7] if len(fields) > 7 else 0)

    @classmethod
    def now(cls) -> "CpuTimes":
        stat = Path("/proc/stat")
        return cls.parse(stat.read_text()) if stat.exists() else cls(0, 0)

    def stolen_since(self, before: "CpuTimes") -> float:
        """Percent of the machine's time that its host gave to others."""
        passed = self.total - before.total
        return 100 * (self.stolen - before.stolen) / passed if passed else 0.0


def run(
    measure: Callable[[argparse.Namespace], Outcome],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Measures, prints, and returns 0 if every ratio holds, else 1."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    args = parser.parse_args(argv)
    busy = wait_until_idle()
    began, before = datetime.now(UTC), CpuTimes.now()
    outcome = measure(args)
    outcome.details |= {
        "began_at": began.isoformat(timespec="seconds"),
        "took_s": round((datetime.now(UTC) - began).total_seconds()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "busy_before_percent": round(busy, 1),
        "stolen_percent": round(CpuTimes.now().stolen_since(before), 1),
    }
    text = json.dumps(outcome.to_json(), indent=2, ensure_ascii=False) + "\n" if args.json else outcome.to_text()
    sys.stdout.write(text)
    return 0 if all(ratio.holds for ratio in outcome.ratios) else 1
