"""How much memory a process has for itself."""

import resource
import sys
from pathlib import Path

import psutil

PAGE = resource.getpagesize()


def private_bytes(pid: int, *, above: int = 0) -> int:
    """Private resident bytes of `pid`, 0 if it is gone; exact only if more than `above`.

    A fork's pages count as its own in the cheap figure (anonymous resident memory) even while it shares them
    with its parent, and only the exact one walks the page tables; so that is read only where it decides.
    """
    try:
        if sys.platform == "linux":
            _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
            anonymous = (int(resident) - int(shared)) * PAGE
            if anonymous <= above:
                return anonymous
            return _private(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
        return int(psutil.Process(pid).memory_full_info().uss)
    except (OSError, psutil.Error):
        return 0


def _private(rollup: str) -> int:
    kilobytes = 0
    for line in rollup.splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            kilobytes += int(line.split()[1])
    return kilobytes * 1024
