"""A long way between this machine and a namespace: two TAP devices, and frames that are carried across after a delay.

`python slowlink.py DELAY_MS HERE NAMESPACE THERE` is the cable itself; it lies until its input ends, and the devices go
with it. Everything crosses it: TCP handshakes, STUN and media alike.
"""

import ctypes
import fcntl
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import processor
from tests.lab.nat.namespaces import Namespaces, command

NETS = "10.78"
CLONE_NEWNET, TUNSETIFF, TAP_NO_PI = 0x40000000, 0x400454CA, 0x1002
FRAME = 65_536


@dataclass(frozen=True)
class SlowLink:
    """`address` is the namespace's, as seen from here."""

    namespace: str
    address: str


@contextmanager
def slow_link(delay_ms: float, *, number: int = 0) -> Iterator[SlowLink]:
    """Each way takes `delay_ms`. Several at once have different numbers; leaves nothing behind."""
    names = Namespaces()
    here, there = f"vds{number}h{os.getpid()}", "far0"
    try:
        namespace = names.make(f"slow{number}", {})
        cable = subprocess.Popen(
            [*processor.REALTIME, sys.executable, "-m", "tests.lab.slowlink", str(delay_ms), here, namespace, there],
            cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert cable.stdin is not None and cable.stdout is not None
        try:
            assert cable.stdout.readline() == b"ready\n", "the slow link needs root and /dev/net/tun"
            command("ip", "addr", "add", f"{NETS}.{number}.1/30", "dev", here)
            command("ip", "link", "set", here, "up")
            names.ip(namespace, "addr", "add", f"{NETS}.{number}.2/30", "dev", there)
            names.ip(namespace, "link", "set", there, "up")
            yield SlowLink(namespace, f"{NETS}.{number}.2")
        finally:
            cable.stdin.close()
            cable.wait(10)
            cable.stdout.close()
    finally:
        names.close()


def tap(name: str, namespace: str = "") -> int:
    """A device there; it is gone when the file is closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    away = os.open(f"/run/netns/{namespace}", os.O_RDONLY) if namespace else home
    try:
        if libc.setns(away, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, name.encode().ljust(16, b"\0") + TAP_NO_PI.to_bytes(24, "little"))
        libc.setns(home, CLONE_NEWNET)
        return device
    finally:
        os.close(home)
        if namespace:
            os.close(away)


def carry(one: int, other: int, delay_s: float, until: int) -> None:
    """Copies frames both ways, in order, until there is something to read at `until`."""
    across = {one: other, other: one}
    on_the_way: deque[tuple[float, int, bytes]] = deque()
    poll = select.poll()
    for file in (one, other, until):
        poll.register(file, select.POLLIN | select.POLLHUP)
    while True:
        wait_ms = max(0.0, on_the_way[0][0] - time.monotonic()) * 1000 if on_the_way else None
        for file, _ in poll.poll(wait_ms):
            if file == until:
                return
            on_the_way.extend((time.monotonic() + delay_s, across[file], frame) for frame in _waiting(file))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, file, frame = on_the_way.popleft()
            try:
                os.write(file, frame)
            except OSError:  # not up yet, or no longer
                continue


def _waiting(file: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(file, FRAME)
        except OSError:
            return


if __name__ == "__main__":
    delay_ms, here, namespace, there = sys.argv[1:]
    ends = tap(here), tap(there, namespace)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    carry(*ends, float(delay_ms) / 1000, sys.stdin.fileno())
