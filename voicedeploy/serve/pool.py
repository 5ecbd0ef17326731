"""How many processes there are in all. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Warm:
    """The idle share that waits ready: `percent` of all processes, or `count` beyond the busy ones."""

    percent: int | None = None
    count: int = 0


def warm(value: object) -> Warm:
    """`"20%"` or a number of processes."""
    remedy = 'write a share like "20%" or a number of processes'
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} is negative; {remedy}")
        return Warm(count=value)
    if isinstance(value, str) and value.endswith("%") and value[:-1].strip().isdecimal():
        percent = int(value[:-1])
        if percent > 99:
            raise ValueError(f"{value}: at most 99% can be idle; {remedy}")
        return Warm(percent=percent)
    raise ValueError(f"{value!r}: {remedy}")


def processes(busy: int, warm: Warm, *, least: int, most: int) -> int:
    """Processes in all, so that `warm` of them are idle; never below `busy`, which nothing here may end."""
    wanted = -(-busy * 100 // (100 - warm.percent)) if warm.percent else busy + warm.count
    return max(busy, min(max(wanted, least), most))
