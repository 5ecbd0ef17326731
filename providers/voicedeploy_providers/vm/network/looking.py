"""A look at a host's network from the host itself, by one command and with the standard library."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from ipaddress import ip_interface
from typing import Any

from voicedeploy.errors import StepFailed
from voicedeploy.stun import server
from voicedeploy_providers.vm.network.addresses import Kind, kind

SCRIPT = 'printf %s "$1" | "${2:-python3}" -I -'
"""For a shell on the host: $1 is a program's text, which is so in no list of processes; $2 the Python to use."""
SERVERS = ("stun.l.google.com:19302", "stun1.l.google.com:19302", "stun.cloudflare.com:3478")
"""Asked beside the project's own: by one answer alone a symmetric NAT looks like any other."""
_BRIDGES = ("docker", "br-", "veth", "virbr", "cni", "flannel", "podman", "lxc", "lxdbr", "vnet", "cali")

Run = Callable[[str, Sequence[str]], str]
"""Runs a script with arguments on the host, as root where that can be had, and returns what it prints."""


class Mapped(StrEnum):
    """What becomes of the bot's address and port on the way out."""

    ON_NIC = "public-on-nic"
    PORT_KEPT = "cone-port-kept"
    """Another address, the same port, for every destination."""
    CONE = "cone"
    """Another address and port, the same for every destination."""
    SYMMETRIC = "symmetric"
    """Another port for every destination."""
    UNSURE = "unsure"
    """Translated, and only one STUN server answered."""
    BLOCKED = "blocked"
    """No STUN server answered: UDP does not get out, or they are all down."""


@dataclass(frozen=True)
class Local:
    interface: str
    address: str
    prefix: int

    @property
    def kind(self) -> Kind:
        return kind(self.address)

    @property
    def net(self) -> str:
        return str(ip_interface(f"{self.address}/{self.prefix}").network)

    @property
    def inward(self) -> bool:
        """Of a bridge to containers or virtual machines: no caller comes that way."""
        return self.interface.startswith(_BRIDGES)


@dataclass(frozen=True)
class Seen:
    """`outward` is the local address by which packets leave, `public` what the outside sees in its place; both may be
    empty. `busy`: ports of the range that other programs hold."""

    mapped: Mapped
    outward: str = ""
    public: str = ""
    interface: str = ""
    gateway: str = ""
    mtu: int = 1500
    addresses: tuple[Local, ...] = ()
    ephemeral: tuple[int, int] = (32768, 60999)
    busy: tuple[int, ...] = ()
    silent: tuple[str, ...] = ()
    """STUN servers that did not answer."""
    relays: Mapping[str, str] = field(default_factory=dict)
    """For each URL of a TURN server "" if it answers, or why not."""
    firewalls: Mapping[str, str] = field(default_factory=dict)
    """What `ufw`, `firewalld`, `nft` and `iptables` print."""
    hardware: tuple[str, ...] = ()


def look(
    run: Run,
    ports: Sequence[int],
    *,
    stun: Sequence[str] = (),
    turn: Sequence[str] = (),
    servers: Sequence[str] = SERVERS,
) -> Seen:
    """Looks from the host; takes 2 s longer where a STUN server is silent. `stun` and `turn` are URLs."""
    asked = list(dict.fromkeys([*map(named, stun), *servers]))
    relays = {url: [one.host, one.port, one.transport] for url, one in zip(turn, map(server, turn), strict=True)}
    text = program("look", ports=list(ports), stun=asked, relays=relays)
    return parse(run(SCRIPT, (text,)))


def named(url: str) -> str:
    """`stun:stun.example.org` → `stun.example.org:3478`"""
    one = server(url)
    return f"[{one.host}]:{one.port}" if ":" in one.host else f"{one.host}:{one.port}"


def program(do: str, **options: Any) -> str:
    """The text of a Python program that does it. Options are in it: a nonce would be seen among arguments."""
    source = files("voicedeploy_providers.vm.network").joinpath("on_host.py").read_text("utf-8")
    return f"{source}\nmain({json.dumps({'do': do, **options})!r})\n"


def parse(text: str) -> Seen:
    """Reads the last line: a login may print its own before."""
    try:
        told = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise StepFailed(
            f"the host could not be looked at: {text.strip()[-200:] or 'it said nothing'}",
            hint="is there a `python3` on it?",
        ) from None
    addresses = tuple(Local(*one) for one in told["addresses"])
    public = next((address for address, _ in told["seen"].values()), "")
    low, high = told["ephemeral"] or (32768, 60999)
    return Seen(
        mapped=mapping(told["port"], tuple(map(tuple, told["seen"].values())), {one.address for one in addresses}),
        outward=told["outward"],
        public=public,
        interface=told["interface"],
        gateway=told["gateway"],
        mtu=told["mtu"] or 1500,
        addresses=addresses,
        ephemeral=(low, high),
        busy=tuple(told["busy"]),
        silent=tuple(told["silent"]),
        relays=told["relays"],
        firewalls=told["firewalls"],
        hardware=tuple(told["hardware"]),
    )


def mapping(port: int, seen: Sequence[tuple[str, int]], own: set[str]) -> Mapped:
    """From what several servers saw of one socket on `port`."""
    if not seen:
        return Mapped.BLOCKED
    if seen[0][0] in own:
        return Mapped.ON_NIC
    if len(set(seen)) > 1:
        return Mapped.SYMMETRIC
    if len(seen) == 1:
        return Mapped.UNSURE
    return Mapped.PORT_KEPT if seen[0][1] == port else Mapped.CONE
