"""Making hosts and taking them away."""

import atexit
import os
import shlex
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from tests.lab.hosts import image, network, state
from tests.lab.hosts.host import OWN, Host, cgroup, machine, start, take_away, veth
from tests.lab.hosts.trouble import LabError

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"  # noqa: S105
FIRST, LAST = 10, 249


class Options(TypedDict, total=False):
    user: str
    """Who may log in with the host's key. Default: `ops`."""
    sudo: Literal["nopasswd", "password", "none"]
    """What that user may do as root, and whether sudo asks. Default: `nopasswd`."""
    password: str
    """The user's, for the sudo kinds that have one. Default: `PASSWORD`."""
    disk: str | None
    """The size of what can be written, like `600M`; it is in memory. Default: this machine's disk."""
    uplink: bool
    """False: only the lab can be reached from it, as from behind a firewall that rejects. Default: True."""
    python: bool
    """False: it has no Python. Default: True."""
    ipv4: bool
    """False: it has only an IPv6 address, and no way out of the lab. Default: True."""
    firewall: Literal["ufw"] | None
    """`ufw`: enabled, and only port 22 is open. Default: none is installed."""
    over: Path | None
    """A folder like `/` with what is on it beside its system. Default: nothing is."""
    netns: str | None
    """An existing network namespace to live in, whose address, routes and rules are the caller's: they outlast the
    host's boots, and pulling the plug closes its connections. Default: one of its own."""


_run: state.Run | None = None
_guard = threading.Lock()


def begin() -> state.Run:
    """This process joins the lab: what dead runs left is taken away, and the network is there."""
    global _run
    with _guard:
        if _run is not None:
            return _run
        network.require()
        with state.alone():
            _sweep()
            network.up()
            run = state.Run()
        network.sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(run.folder / "id_ed25519"))
        _run = run
        atexit.register(drop_all)
        return run


def drop(host: Host) -> None:
    """The host and everything made for it is gone, at once and without an orderly end."""
    if host.folder.is_dir():
        take_away(host.folder)


def drop_all() -> None:
    """This process leaves the lab with all its hosts; the last one to leave takes the network away."""
    global _run
    with _guard:
        if _run is None:
            return
        run, _run = _run, None
        try:
            for folder in state.folders():
                if state.text(folder / "run") == run.name:
                    take_away(folder)
        finally:
            run.close()
            with state.alone():
                _sweep()


def _sweep() -> None:
    """Takes away what belongs to no living run; the caller is alone()."""
    living = {run.name for run in state.runs() if state.alive(run)}
    for folder in state.folders():
        if state.text(folder / "run") not in living:
            take_away(folder)
    for run in state.runs():
        if run.name not in living:
            shutil.rmtree(run)
    if not living:
        network.down()
        if image.cache().is_dir():
            image.forget_old()


def _folder(run: state.Run) -> Path:
    """A folder for one more host; its name is the last part of the address."""
    with state.alone():
        counter = state.STATE / "last"
        last = int(state.text(counter) or FIRST - 1)
        for step in range(LAST - FIRST + 1):
            number = FIRST + (last + 1 + step - FIRST) % (LAST - FIRST + 1)
            folder = state.HOSTS / str(number)
            if not folder.exists():
                folder.mkdir(parents=True)
                (folder / "run").write_text(run.name)
                counter.write_text(str(number))
                return folder
    raise LabError("the lab has no address left")


def make(name: str, **options: Unpack[Options]) -> Host:
    """A host that answers ssh. About two seconds; a minute more when its root file system has to be made first."""
    if options.get("firewall") == "ufw" and not options.get("python", True):
        raise LabError("ufw is a Python program: it cannot be on a host without Python")
    run = begin()
    base = image.root()
    folder = _folder(run)
    try:
        return _make(name, folder, base, run.folder / "id_ed25519", options)
    except BaseException:
        take_away(folder)
        raise


def _make(name: str, folder: Path, base: Path, key: Path, options: Options) -> Host:
    user, netns, ipv4 = options.get("user", "ops"), options.get("netns"), options.get("ipv4", True)
    for part in ("disk", "root"):
        (folder / part).mkdir()
    if disk := options.get("disk"):
        network.sh("mount", "-t", "tmpfs", "-o", f"size={disk},mode=755", "voicedeploy-lab", str(folder / "disk"))
    for part in ("upper", "work"):
        (folder / "disk" / part).mkdir()
    below = f"{over}:{base}" if (over := options.get("over")) else str(base)
    layers = f"lowerdir={below},upperdir={folder}/disk/upper,workdir={folder}/disk/work"
    network.sh(
        "mount", "-t", "overlay", "-o", layers, "voicedeploy-lab", str(folder / "root"),
        what="no overlay can be mounted here",
    )  # fmt: skip
    _configure(name, folder / "root", user, (key.with_suffix(".pub")).read_text(), options)

    number = int(folder.name)
    namespace = netns or f"{OWN}{number}"
    own = f"10.77.0.{number}" if ipv4 else f"fd77:0:0:77::{number}"
    address = _address(netns, "-4" if ipv4 else "-6") if netns else own
    settings = {
        "NAME": name,
        "MACHINE": machine(folder),
        "NAMESPACE": namespace,
        "VETH": "" if netns else veth(folder),
        "BRIDGE": network.BRIDGE,
        "ADDRESS": f"{address}/{24 if ipv4 else 64}",
        "GATEWAY": network.GATEWAY4 if ipv4 else network.GATEWAY6,
        # The same for an address whenever it comes up again, so that no neighbour remembers another.
        "MAC": f"02:0a:4d:00:00:{number:02x}",
        "MTU": str(network.mtu()),
        "CGROUP": cgroup(folder),
    }
    (folder / "settings").write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items()))
    if not options.get("uplink", True) and not netns and ipv4:
        network.close(address, closed=True)
    public = (folder / "root" / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text()
    host = Host(name, address, user, key, " ".join(public.split()[:2]), namespace, folder)
    start(folder)
    host.wait()
    return host


def _address(netns: str, family: str) -> str:
    shown = network.sh("ip", "-n", netns, family, "-oneline", "addr", "show", "scope", "global").split()
    if not shown:
        raise LabError(f"the network namespace {netns} has no address yet")
    return shown[3].split("/")[0]


def _configure(name: str, root: Path, user: str, public: str, options: Options) -> None:
    for source, target in (("init.sh", "sbin/lab-init"), ("configure.sh", "root/configure")):
        shutil.copy(HERE / source, root / target)
    resolver = root / "etc" / "resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.write_text(_resolver())
    done = subprocess.run(
        # A network of its own, because ufw looks at the firewall where it is installed.
        ["unshare", "--net", "chroot", str(root), "/root/configure", name, user, options.get("sudo", "nopasswd"),
         options.get("password", PASSWORD), public.strip(), "yes" if options.get("python", True) else "no",
         options.get("firewall") or "none"],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"the host {name} could not be prepared:\n{done.stdout}{done.stderr}")
    (root / "root" / "configure").unlink()


def _resolver() -> str:
    """This machine's, without one that answers only on this machine."""
    for file in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        words = [line.split() for line in state.text(file).splitlines()]
        servers = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
        if servers and not all(server.startswith("127.") or server == "::1" for server in servers):
            return state.text(file) + "\n"
    return ""
