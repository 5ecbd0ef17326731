"""Where the stand-in stands: on loopback, or with all of its machines in a network of its own."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Ground:
    """`host`: where its API and the apps' proxies listen. `dedicated`: how the addresses begin that apps pay for; on
    loopback they are some of the stand-in's own. `network`: a namespace; callers elsewhere reach no machine but through
    the platform, and no packet of a machine reaches them by itself.
    """

    host: str = "127.0.0.1"
    dedicated: str = ""
    network: Path | None = None

    def enter(self) -> None:
        """With this thread, and whatever it starts."""
        if self.network is None:
            return
        with self.network.open("rb") as there:
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(self.network))
