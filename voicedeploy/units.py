"""Durations and sizes as people write them: `30m`, `1GiB`."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def seconds(text: str) -> int:
    """Seconds of `90s`, `30m`, `1h` or `1h30m`; `ValueError` for anything else."""
    if not re.fullmatch(r"(\d+[smhd])+", text):
        raise ValueError(f"{text!r} is not a duration")
    return sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text))


def size(text: str) -> int:
    """Bytes of `512MiB`, `1GiB`, `1.5GB`; `ValueError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    if not match or match[2] not in _BYTES:
        raise ValueError(f"{text!r} is not a size")
    return int(float(match[1]) * _BYTES[match[2]])


def duration_text(total: float) -> str:
    """`1800` → `30 min`; for people."""
    if total >= 3600 and total % 3600 == 0:
        return f"{int(total // 3600)} h"
    if total >= 60 and total % 60 == 0:
        return f"{int(total // 60)} min"
    return f"{total:g} s"
