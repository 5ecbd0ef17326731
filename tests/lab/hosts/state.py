"""What the lab has made on this machine, written down so that another process can take it away.

Runs (processes that use the lab) share one network and one store of hosts. A run is alive as long as its lock is held,
which the kernel sees to; what a dead run left behind is taken away by whoever comes next.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

STATE = Path(os.environ.get("VOICEDEPLOY_LAB_STATE", "/var/lib/voicedeploy-lab"))
HOSTS = STATE / "hosts"
RUNS = STATE / "runs"


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Alone on this machine; others wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """While the network, the runs or the numbers of hosts change."""
    with locked(STATE / "lock"):
        yield


class Run:
    """This process's part in the lab."""

    def __init__(self) -> None:
        RUNS.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=RUNS))
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def name(self) -> str:
        return self.folder.name

    def close(self) -> None:
        os.close(self._lock)


def alive(run: Path) -> bool:
    try:
        lock = os.open(run / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def runs() -> list[Path]:
    return sorted(RUNS.iterdir()) if RUNS.is_dir() else []


def folders() -> list[Path]:
    """Of all hosts on this machine, whoever made them."""
    return sorted(HOSTS.iterdir()) if HOSTS.is_dir() else []


def text(file: Path) -> str:
    """What the file says, or nothing."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""
