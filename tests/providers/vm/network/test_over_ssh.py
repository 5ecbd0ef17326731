"""The same over a real sshd."""

import subprocess
import time

from voicedeploy_providers.vm.network import Reached, Seen, look, try_ports
from voicedeploy_providers.vm.ssh import Shell

from tests.providers.vm.ssh.conftest import host, lab, shell

__all__ = ["host", "lab", "shell"]

RANGE = range(21970, 21974)


def looked(there: Shell) -> Seen:
    return look(lambda script, args: there.run(script, args=args).out, RANGE, servers=())


def tried(there: Shell, address: str) -> Reached:
    return try_ports(lambda script, args: there.stream(script, args, root=False), address, RANGE)


def test_a_look_and_an_echo(shell: Shell) -> None:
    assert "127.0.0.1" in {one.address for one in looked(shell).addresses}
    reached = tried(shell, "127.0.0.1")
    assert reached.answered == tuple(RANGE)


def test_an_echo_that_nobody_reaches_ends_with_the_probe(shell: Shell) -> None:
    began = time.monotonic()
    reached = tried(shell, "::1")  # the echo is on IPv4
    assert reached.answered == ()
    assert time.monotonic() - began < 5  # not the echo's time to live
    until = time.monotonic() + 3
    while _listening() and time.monotonic() < until:
        time.sleep(0.1)
    assert not _listening()


def _listening() -> bool:
    found = subprocess.run(["ss", "-Hlun", f"sport = :{RANGE[0]}"], capture_output=True, text=True, check=True)
    return bool(found.stdout.strip())
