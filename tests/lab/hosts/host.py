"""One host: a machine with systemd, sshd and a network of its own."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.hosts import network
from tests.lab.hosts.state import STATE, text
from tests.lab.hosts.trouble import LabError

SUPERVISE = Path(__file__).with_name("supervise.sh")
CGROUP = f"voicedeploy-lab-{hashlib.sha256(str(STATE).encode()).hexdigest()[:8]}"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FILL = "/var/lab-fill"
STOPS_S = 100  # systemd waits 90 s for a service that does not want to end
# Whoever starts a process has to collect it.
_supervisors: dict[Path, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True)
class Host:
    name: str
    address: str
    user: str
    key: Path
    host_key: str
    namespace: str
    folder: Path = field(repr=False)

    def ssh_config(self, path: Path, alias: str, **extra: str | int | Path) -> None:
        """Adds a `Host alias` to the file, with `extra` options of ssh_config(5), and the host's key to `known_hosts`
        beside it."""
        known = path.with_name("known_hosts")
        options = {
            "HostName": self.address,
            "User": self.user,
            "IdentityFile": self.key,
            "UserKnownHostsFile": known,
            "IdentitiesOnly": "yes",
            **extra,
        }
        with path.open("a") as file:
            file.write(f"Host {alias}\n" + "".join(f"  {key} {_quoted(value)}\n" for key, value in options.items()))
        with known.open("a") as file:
            file.write(f"{self.address} {self.host_key}\n")

    def run(self, script: str, *, check: bool = True, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """A bash script as root in the host, not through ssh: to look, and to arrange faults."""
        leader = _leader(self.folder)
        if leader is None:
            raise LabError(f"{self.name} is off")
        done = subprocess.run(
            ["nsenter", "--target", str(leader), "--all", "--root", "env", "-i", "--chdir=/", f"PATH={PATH}",
             "HOME=/root", "LANG=C.UTF-8", "bash", "-c", script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise LabError(f"on {self.name}: exit {done.returncode}: {script}\n{done.stdout}{done.stderr}")
        return done

    def reboot(self, wait: bool = True) -> None:
        """As its administrator would; the disk stays, the network and everything in memory is new."""
        before = text(self.folder / "boots")
        self.run("systemctl --no-block reboot", check=False)  # it may be ended by what it began
        if wait:
            until(lambda: text(self.folder / "boots") != before, f"{self.name} did not go down for its reboot", STOPS_S)
            self.wait()

    def power_off(self, *, hard: bool = False) -> None:
        """Orderly, or with `hard` as when the plug is pulled: no process ends well, and no connection is closed."""
        _halt(self.folder, hard=hard)

    def power_on(self, wait: bool = True) -> None:
        if is_on(self.folder):
            raise LabError(f"{self.name} is on")
        start(self.folder)
        if wait:
            self.wait()

    def wait(self, within_s: float = 60) -> None:
        """Until it has booted and answers ssh."""

        def ready() -> bool:
            if not is_on(self.folder):
                raise LabError(f"{self.name} went off:\n{text(self.folder / 'console.log')[-2000:]}")
            return self._greets() and self._booted()

        until(ready, f"{self.name} does not answer ssh", within_s)

    def _greets(self) -> bool:
        if self.namespace == f"{OWN}{self.folder.name}":
            with contextlib.suppress(OSError), socket.create_connection((self.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
            return False
        hello = "exec 3<>/dev/tcp/127.0.0.1/22; read -r -t 1 line <&3; [[ $line == SSH-* ]]"
        return _leader(self.folder) is not None and self.run(hello, check=False).returncode == 0

    def _booted(self) -> bool:
        """Before this, pam_nologin lets only root in."""
        if _leader(self.folder) is None:
            return False
        state = self.run("systemctl is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def cut_ssh(self) -> None:
        """Resets every ssh connection of the host; what runs in them learns of it only when it writes."""
        connections = "--no-header --tcp state established sport = :22"
        self.run(f"ss --kill {connections}")
        if self.run(f"ss {connections}").stdout:
            raise LabError("to cut connections, the lab needs a kernel with CONFIG_INET_DIAG_DESTROY")

    def fill_disk(self, leave_bytes: int = 0) -> None:
        """Only on a host that was made with a `disk` of its own."""
        if not os.path.ismount(self.folder / "disk"):
            raise LabError(f"{self.name} has no disk of its own: filling it would fill this machine's")
        self.free_disk()
        disk = os.statvfs(self.folder / "disk")
        if (size := disk.f_bavail * disk.f_frsize - leave_bytes) > 0:
            self.run(f"fallocate --length {size} {FILL}")

    def free_disk(self) -> None:
        self.run(f"rm -f {FILL}")


OWN = "vdl-"


def _quoted(value: str | int | Path) -> str:
    return f'"{value}"' if " " in str(value) and isinstance(value, Path) else str(value)


def until(true: Callable[[], bool], otherwise: str, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            raise LabError(f"{otherwise} within {within_s:g} s")
        time.sleep(0.05)


def _process(folder: Path, file: str, *named: str) -> int | None:
    """The recorded process, if that number is still the process it was."""
    recorded = text(folder / file)
    if not recorded:
        return None
    try:
        words = Path(f"/proc/{recorded}/cmdline").read_bytes().decode().split("\0")
    except (OSError, UnicodeDecodeError):
        return None
    return int(recorded) if all(word in words for word in named) else None


def _supervisor(folder: Path) -> int | None:
    return _process(folder, "supervisor.pid", str(folder))  # of another checkout it may be, too


def _nspawn(folder: Path) -> int | None:
    return _process(folder, "nspawn.pid", f"--directory={folder}/root")


def _leader(folder: Path) -> int | None:
    """The host's process 1, by this machine's number."""
    if (nspawn := _nspawn(folder)) is None:
        return None
    children = text(Path(f"/proc/{nspawn}/task/{nspawn}/children")).split()
    if len(children) != 1:
        return None
    # Before it is the init of a namespace of its own, it is a helper of nspawn's.
    inner = [line for line in text(Path(f"/proc/{children[0]}/status")).splitlines() if line.startswith("NSpid:")]
    return int(children[0]) if inner and len(inner[0].split()) > 2 else None


def is_on(folder: Path) -> bool:
    if (started := _supervisors.get(folder)) is not None and started.poll() is not None:
        del _supervisors[folder]
        return False
    return started is not None or _supervisor(folder) is not None


def start(folder: Path) -> None:
    for name in ("stop", "supervisor.pid", "nspawn.pid"):
        (folder / name).unlink(missing_ok=True)
    with (folder / "console.log").open("ab") as console:
        _supervisors[folder] = subprocess.Popen(
            [str(SUPERVISE), str(folder)],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
        )  # fmt: skip


def _kill(process: int | None, how: signal.Signals) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, how)


def _halt(folder: Path, *, hard: bool) -> None:
    (folder / "stop").touch()
    if hard:
        network.quiet("ip", "link", "set", veth(folder), "down")  # or the kernel would say goodbye for dead processes
        _kill(_leader(folder) or _nspawn(folder), signal.SIGKILL)
    else:
        _kill(_nspawn(folder), signal.SIGTERM)
    try:
        until(lambda: not is_on(folder), "it did not go off", 5 if hard else STOPS_S)
    except LabError:
        for process in (_supervisor(folder), _leader(folder), _nspawn(folder)):
            _kill(process, signal.SIGKILL)
        until(lambda: not is_on(folder), f"{folder} cannot be switched off", 10)


def veth(folder: Path) -> str:
    return f"vdl{folder.name}"


def take_away(folder: Path) -> None:
    """The host and everything that was made for it, whoever made it. Idempotent."""
    if is_on(folder):
        _halt(folder, hard=True)
    network.quiet("ip", "link", "del", veth(folder))
    network.quiet("ip", "netns", "del", f"{OWN}{folder.name}")
    network.close(f"10.77.0.{folder.name}", closed=False)
    for mounted in (folder / "root", folder / "disk"):
        for _ in range(20):
            if not os.path.ismount(mounted) or network.quiet("umount", str(mounted)):
                break
            time.sleep(0.1)
        else:
            network.sh("umount", "--lazy", str(mounted), what="a host's disk is still in use")
    for hierarchy in [*Path("/sys/fs/cgroup").iterdir(), Path("/sys/fs/cgroup")]:
        _rmdir(hierarchy / cgroup(folder))
    for left in ("propagate", "unix-export"):
        with contextlib.suppress(OSError):
            (Path("/run/systemd/nspawn") / left / machine(folder)).rmdir()
    shutil.rmtree(folder)


def machine(folder: Path) -> str:
    return f"voicedeploy-{folder.name}"


def cgroup(folder: Path) -> str:
    return f"{CGROUP}-{folder.name}"


def _rmdir(root: Path) -> None:
    if not root.is_dir():
        return
    for inner in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            inner.rmdir()

    def gone() -> bool:
        with contextlib.suppress(OSError):
            root.rmdir()
        return not root.exists()

    until(gone, f"{root} is still in use", 5)
