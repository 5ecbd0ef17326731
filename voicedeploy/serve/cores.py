"""Which core a call's process is pinned to. Pure but for what this machine has.

One Python process is slower on two cores than on one: every 20 ms frame is handed between threads, and the
interpreter lock bounces between cores.
"""

import os
import sys
from collections.abc import Mapping, Sequence


def cores() -> list[int]:
    """The cores that this process may use; empty where processes cannot be pinned."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def least_loaded(calls: Mapping[int, int], load: Mapping[int, float], among: Sequence[int]) -> int | None:
    """The core with the fewest calls, of those the one with the least measured load (percent)."""
    if not among:
        return None
    return min(among, key=lambda core: (calls.get(core, 0), load.get(core, 0.0), core))
