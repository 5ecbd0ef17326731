"""Real OpenSSH servers of the test's own on 127.0.0.1, and the ssh configuration of somebody who uses them."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from voicedeploy_providers.vm.ssh import Shell, connect, route

from tests.waiting import soon

_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin") or ""


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    argv = ["ssh-keygen", "-q", "-a", "1", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


@dataclass
class Sshd:
    """One server; `cut` kills the connections it has, as a pulled cable would, only faster."""

    folder: Path
    address: str
    port: int
    process: subprocess.Popen[bytes]
    argv: list[str]

    @property
    def host_key(self) -> str:
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        said = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / "host.pub")], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def known(self) -> str:
        return f"[{self.address}]:{self.port} {self.host_key}\n"

    def connections(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name().startswith("sshd"):
                    found.append(child)
        return found

    def cut(self) -> int:
        """How many connections there were."""
        found = self.connections()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                ends = [p for p in process.children(recursive=True) if p.name().startswith("sshd")]
                process.kill()
                for each in ends:
                    each.kill()
        return len(found)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def start(self) -> None:
        self.process = _started(self.argv, self.address, self.port)


@dataclass
class Lab:
    folder: Path
    stack: ExitStack
    key: Path
    servers: list[Sshd] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def sshd(self, *lines: str, address: str = "127.0.0.1", known: bool = True) -> Sshd:
        folder = self.folder / f"sshd{len(self.servers)}"
        folder.mkdir()
        keygen(folder / "host")
        port = free_port(address)
        # sshd reads it as the user who logs in.
        keys = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="sshd"))) / "authorized_keys"
        keys.parent.chmod(0o755)
        keys.write_text((self.folder / "id.pub").read_text())
        (folder / "config").write_text(
            "\n".join(
                [
                    *lines,
                    f"ListenAddress {address}",
                    f"Port {port}",
                    f"HostKey {folder / 'host'}",
                    f"AuthorizedKeysFile {keys}",
                    "PidFile none",
                    "StrictModes no",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "PermitRootLogin yes",
                    "MaxSessions 30",
                    "MaxStartups 100",
                ]
            )
            + "\n"
        )
        argv = [_SSHD, "-D", "-f", str(folder / "config"), "-E", str(folder / "log")]
        server = Sshd(folder, address, port, _started(argv, address, port), argv)
        self.stack.callback(server.stop)
        self.servers.append(server)
        if known:
            with self.known_hosts.open("a") as file:
                file.write(server.known())
        return server

    def alias(self, name: str, server: Sshd, *lines: str, user: str = "root") -> str:
        said = [
            f"Host {name}",
            *lines,
            f"HostName {server.address}",
            f"Port {server.port}",
            f"User {user}",
            f"IdentityFile {self.key}",
            "IdentityAgent none",
            f"UserKnownHostsFile {self.known_hosts}",
            "GlobalKnownHostsFile none",
        ]
        with self.config.open("a") as file:
            file.write("\n  ".join(said) + "\n\n")
        return name

    def shell(self, name: str) -> Shell:
        return self.stack.enter_context(Shell(connect(route(name, config=self.config))))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    assert os.geteuid() == 0, "these tests start an sshd, and that needs root"
    assert _SSHD and shutil.which("ssh"), "these tests need OpenSSH: apt-get install openssh-server openssh-client sudo"
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder = tmp_path / "lab"
    folder.mkdir()
    with ExitStack() as stack:
        yield Lab(folder, stack, keygen(folder / "id"))


@pytest.fixture
def host(lab: Lab) -> Sshd:
    """A server that `homelab` leads to, as root."""
    server = lab.sshd()
    lab.alias("homelab", server)
    return server


@pytest.fixture
def shell(lab: Lab, host: Sshd) -> Shell:
    return lab.shell("homelab")


def commands() -> str:
    """The command lines of all that runs, but of the tests themselves."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
    return "\n".join(found)


def _started(argv: list[str], address: str, port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(argv)

    def listens() -> bool:
        assert process.poll() is None, f"sshd ended: {' '.join(argv)}"
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            return probe.connect_ex((address, port)) == 0

    soon(listens)
    return process
