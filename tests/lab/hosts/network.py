"""The hosts' network: a bridge with this machine on .1, and a way out through it.

What it changes is written to `network.json` before it is changed, so that `down` finds all of it after a crash too.
"""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.lab.hosts import image
from tests.lab.hosts.state import STATE
from tests.lab.hosts.trouble import LabError

BRIDGE, MAC = "vdl-br", "02:0a:4d:00:00:01"
NET4, GATEWAY4 = "10.77.0.0/24", "10.77.0.1"
NET6, GATEWAY6 = "fd77:0:0:77::/64", "fd77:0:0:77::1"
TABLE = "voicedeploy_lab"
RECORD = STATE / "network.json"

RULES = f"""
table inet {TABLE} {{
  set closed {{ type ipv4_addr; }}
  chain forw {{
    type filter hook forward priority -1;
    iifname "{BRIDGE}" oifname != "{BRIDGE}" ip saddr @closed reject with icmp type admin-prohibited
  }}
  chain post {{
    type nat hook postrouting priority srcnat;
    ip saddr {NET4} oifname != "{BRIDGE}" masquerade
  }}
}}
"""
# Docker makes the policy of this chain `drop`, and bridged frames pass it where br_netfilter is on.
FORWARD = [["FORWARD", "-i", BRIDGE, "-j", "ACCEPT"], ["FORWARD", "-o", BRIDGE, "-j", "ACCEPT"]]

# What `ip netns`, systemd-nspawn and mount make for themselves, inner ones first.
FOLDERS = (
    "/run/netns", "/run/systemd/nspawn/propagate", "/run/systemd/nspawn/locks", "/run/systemd/nspawn", "/run/systemd",
    "/run/mount",
)  # fmt: skip

NEEDS = {
    "ip": "iproute2", "nft": "nftables", "iptables": "iptables", "nsenter": "util-linux", "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap",
}  # fmt: skip


def require() -> None:
    """Says what is missing for hosts on this machine."""
    if os.geteuid() != 0:
        raise LabError("the lab's hosts need root")
    if missing := sorted(package for program, package in NEEDS.items() if not shutil.which(program)):
        raise LabError(f"the lab's hosts need these packages: {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text().split():
        raise LabError("the lab's hosts need a kernel with overlayfs")
    hierarchies = [*Path("/sys/fs/cgroup").glob("cgroup.procs"), *Path("/sys/fs/cgroup").glob("*/cgroup.procs")]
    if not any(os.access(hierarchy, os.W_OK) for hierarchy in hierarchies):
        raise LabError("the lab's hosts need /sys/fs/cgroup mounted and writable")


def sh(*argv: str, what: str = "", stdin: str | None = None) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{what or 'the lab failed'}: {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def quiet(*argv: str) -> bool:
    """For what may be done, or undone, already."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def links() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(sh("ip", "-json", "addr", "show"))
    return found


def outward() -> str | None:
    """The interface with this machine's default route."""
    routes = json.loads(sh("ip", "-json", "-4", "route", "show", "default"))
    return routes[0]["dev"] if routes else None


def mtu() -> int:
    """The hosts' too: a path that is narrower further on is not what they are there to find out."""
    device = outward()
    return min([1500, *(int(link["mtu"]) for link in links() if link["ifname"] == device)])


def _forwarding(device: str) -> Path:
    return Path(f"/proc/sys/net/ipv4/conf/{device}/forwarding")


def answers() -> list[str]:
    """Those package archives of this machine that can be reached."""
    found = []
    for name, port in sorted({(urlsplit(a).hostname or "", urlsplit(a).port or 80) for a, _ in image.archives()}):
        try:
            socket.create_connection((name, port), timeout=5).close()
        except OSError:
            continue
        found.append(name)
    return found


def up() -> None:
    """Does nothing where it is up. The caller is `alone()`."""
    here = {link["ifname"]: link for link in links()}
    if RECORD.exists() and BRIDGE in here:
        return
    down()
    for link in here.values():
        for address in link["addr_info"]:
            if address["family"] == "inet" and address["local"].startswith("10.77.0."):
                raise LabError(f"the lab's network {NET4} is taken: {link['ifname']} has {address['local']}")
    if BRIDGE in here:
        raise LabError(f"somebody else has an interface {BRIDGE} here")
    before = answers()
    device = outward()
    chained = quiet("iptables", "-n", "-L", "FORWARD") and quiet("nft", "list", "chain", "ip", "filter", "FORWARD")
    record = {
        "outward": device,
        "forwarded": device is None or _forwarding(device).read_text().strip() == "1",
        "iptables": chained,
        "folders": [folder for folder in FOLDERS if not Path(folder).exists()],
    }
    RECORD.write_text(json.dumps(record))
    try:
        # An address of its own: else it takes one from the hosts', and each time one comes or goes the others lose it.
        sh(
            "ip", "link", "add", BRIDGE, "address", MAC, "mtu", str(mtu()), "type", "bridge",
            what="no bridge can be made here",
        )  # fmt: skip
        sh("ip", "addr", "add", f"{GATEWAY4}/24", "dev", BRIDGE)
        quiet("ip", "-6", "addr", "add", f"{GATEWAY6}/64", "dev", BRIDGE, "nodad")
        sh("ip", "link", "set", BRIDGE, "up")
        # By interface: the switch for all of them would be hard to turn back.
        for name in filter(None, (BRIDGE, device)):
            _forwarding(name).write_text("1")
        sh("nft", "-f", "-", stdin=RULES, what="this kernel lacks nftables with NAT")
        if chained:
            for rule in FORWARD:
                sh("iptables", "-I", *rule)
        if lost := before and set(before) - set(answers()):
            raise LabError(f"with the lab's network up, this machine no longer reaches {', '.join(sorted(lost))}")
    except BaseException:
        down()
        raise


def down() -> None:
    """Idempotent. The caller is `alone()`, and no host is left."""
    if not RECORD.exists():
        return
    record = json.loads(RECORD.read_text() or "{}")
    quiet("ip", "link", "del", BRIDGE)
    quiet("nft", "delete", "table", "inet", TABLE)
    if record.get("iptables"):
        for rule in FORWARD:
            while quiet("iptables", "-D", *rule):
                pass
    device = record.get("outward")
    everywhere = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"  # by somebody else, since
    if device and not record.get("forwarded", True) and not everywhere and _forwarding(device).exists():
        _forwarding(device).write_text("0")
    for folder in map(Path, record.get("folders", ())):
        if folder.is_dir() and not list(folder.iterdir()):
            while quiet("umount", str(folder)):  # `ip netns` mounts its folder on itself
                pass
            quiet("rmdir", str(folder))
    RECORD.unlink()


def close(address: str, *, closed: bool) -> None:
    """No way out of the lab for this address, or one again."""
    argv = ("nft", "add" if closed else "delete", "element", "inet", TABLE, "closed", f"{{ {address} }}")
    if closed:
        sh(*argv)
    else:
        quiet(*argv)
