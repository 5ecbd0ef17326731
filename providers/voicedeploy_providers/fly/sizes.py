"""Fly's sizes of machines, and how many calls each carries for good: dated data in sizes.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

_DATA = tomllib.loads(Path(__file__).with_name("sizes.toml").read_text("utf-8"))
_DAYS = 365.25 / 12
_FRONT_MB = 512
"""What the front and the loaded bot take before the first call; a call then adds some 60 MB."""
_CALL_MB = 128


@dataclass(frozen=True)
class Size:
    name: str
    kind: str
    cpus: int
    memory_mb: int
    usd_per_month: float

    @property
    def sustained(self) -> float:
        """Cores."""
        return self.cpus * float(_DATA[self.kind]["sustained"])

    def slots(self, cpu: float) -> int:
        """Calls of `cpu` cores each that it carries for as long as they like; 0 where it carries none."""
        by_cpu = int(self.sustained / cpu + 1e-9)
        return max(0, min(by_cpu, (self.memory_mb - _FRONT_MB) // _CALL_MB))

    @property
    def usd_per_day(self) -> float:
        return self.usd_per_month / _DAYS


SIZES = {
    name: Size(name, "performance" if name.startswith("performance") else "shared", **about)
    for name, about in _DATA["sizes"].items()
}
AS_OF = str(_DATA["as_of"])
SOURCE = f"{_DATA['where']}, {AS_OF}"
STOPPED_USD_PER_DAY = float(_DATA["stopped_usd_per_gb_month"]) / _DAYS
"""Of a stopped machine whose image is a gigabyte."""
ADDRESS_USD_PER_MONTH = float(_DATA["dedicated_ipv4_usd_per_month"])
ADDRESS_USD_PER_DAY = ADDRESS_USD_PER_MONTH / _DAYS
"""Of a dedicated IPv4 address; all others cost nothing."""
