"""Durations as Go writes them."""

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)")


def seconds(text: str, usual: float) -> float:
    if not text:
        return usual
    found = _PART.findall(text)
    if "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"{text} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in found)
