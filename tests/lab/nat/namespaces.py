"""Network namespaces of one test run: made, entered, and taken away with all that runs in them."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PREFIX = "vdn-"
NEEDED = ("ip", "nft", "conntrack", "turnserver", "nsenter")
FILES = Path("/etc/netns")
"""`ip netns exec` lays what is below over `/etc`."""


def command(*argv: str, given: str = "") -> str:
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}{given}"
    return done.stdout


class Namespaces:
    """Names are this process's own, so that two runs on one machine do not meet."""

    def __init__(self) -> None:
        missing = [name for name in NEEDED if not shutil.which(name)]
        assert not missing, f"the NAT lab needs {', '.join(missing)}: .ci/run installs them"
        assert os.geteuid() == 0, "the NAT lab needs root"
        sweep()
        self._made: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []

    def make(self, place: str, hosts: Mapping[str, str]) -> str:
        """`hosts` is what names lead to there; nothing else is resolved."""
        name = f"{PREFIX}{os.getpid()}-{place}"
        folder = FILES / name
        folder.mkdir(parents=True)
        self._made.append(name)
        lines = [f"{address} {host}\n" for host, address in hosts.items()]
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        command("ip", "netns", "add", name)
        self.ip(name, "link", "set", "lo", "up")
        return name

    def ip(self, name: str, *argv: str) -> None:
        command("ip", "-n", name, *argv)

    def link(self, one: str, interface: str, other: str, port: str, bridge: str) -> None:
        """A cable from `interface` to a port of a bridge in the namespace `other`."""
        self.ip(one, "link", "add", interface, "type", "veth", "peer", "name", port, "netns", other)
        self.ip(other, "link", "set", port, "master", bridge, "up")
        self.ip(one, "link", "set", interface, "up")

    def bridge(self, name: str, interface: str, address: str) -> None:
        self.ip(name, "link", "add", interface, "type", "bridge")
        self.ip(name, "addr", "add", address, "dev", interface)
        self.ip(name, "link", "set", interface, "up")

    def rules(self, name: str, text: str) -> None:
        """Its packet filter, in place of what it had; connections under way are forgotten."""
        self.run(name, "nft", "-f", "-", given=f"flush ruleset\n{text}")
        self.forget(name)

    def forget(self, name: str) -> None:
        self.run(name, "conntrack", "-F")

    def run(self, name: str, *argv: str, given: str = "") -> str:
        return command("ip", "netns", "exec", name, *argv, given=given)

    def start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None
    ) -> "subprocess.Popen[str]":
        """A program there; ended with the lab. Without `log` it talks over pipes."""
        words = ["ip", "netns", "exec", name, *argv]
        environment = {**os.environ, **(env or {})}
        if log is None:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1
            )
        else:
            with log.open("w") as file:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, text=True
                )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """Everything recorded is gone after this, whatever failed before."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(FILES / name, ignore_errors=True)
        if FILES.exists() and not any(FILES.iterdir()):
            FILES.rmdir()
        left = [name for name in self._made if Path("/run/netns", name).exists()]
        assert not left, f"left behind: {left}"


def sweep() -> None:
    """Takes away what a run left that was killed and is no more."""
    for file in Path("/run/netns").glob(f"{PREFIX}*"):
        owner = re.fullmatch(rf"{PREFIX}(\d+)-.+", file.name)
        if owner and not Path("/proc", owner[1]).exists():
            for pid in command("ip", "netns", "pids", file.name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            command("ip", "netns", "del", file.name)
            shutil.rmtree(FILES / file.name, ignore_errors=True)
