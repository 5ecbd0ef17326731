"""What a host is and what stands on it: one look over SSH, parsed."""

import base64
import json
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import Any

import tomli_w

from voicedeploy.network import Transport, receives_media

SCRIPT = files("voicedeploy_providers.vm").joinpath("look.sh").read_text("utf-8")


@dataclass(frozen=True)
class Ports:
    """A bot's own: `tcp` on the host's loopback, where Caddy finds it; `udp` ("20000-20007") for its calls' sound, ""
    where none comes by UDP."""

    tcp: int
    udp: str
    public_ip: str = ""
    """What the bot names to callers beside the host's own addresses, as it was found out."""
    nets: tuple[str, ...] = ()
    """The host's networks whose addresses are named."""
    addresses: tuple[str, ...] = ()
    """The host's addresses when that was found out."""
    tcp_only: bool = False
    """No UDP got out then: relays are asked over TLS first."""
    relay: str = ""
    """The name by which callers reach the host's own relay, where the bot uses it."""

    def text(self) -> str:
        return tomli_w.dumps({key: value for key, value in asdict(self).items() if value})


@dataclass(frozen=True)
class Front:
    """A front that runs, as it tells it itself."""

    bot: str
    release: str
    ready: bool
    reason: str
    listening: bool
    draining: bool
    sessions: int
    slots: int
    warm: int
    max_duration_s: float


@dataclass(frozen=True)
class Release:
    """A release in its folder. `active` and `enabled` are systemd's words for its unit."""

    id: str
    created_at: str
    environment: str
    transport: str
    url: str
    active: str
    enabled: str
    upstream: str = ""
    """The platform that its calls run on; "" is this host."""

    @property
    def receives_media(self) -> bool:
        """One that does not tell its transport is from before others than `webrtc`."""
        known = self.transport in set(Transport)
        return not self.upstream and (not known or receives_media(Transport(self.transport)))

    @property
    def runs(self) -> bool:
        return self.active in ("active", "activating", "deactivating", "reloading")


@dataclass(frozen=True)
class Bot:
    """What stands on the host of one bot."""

    name: str
    record: Mapping[str, str]
    live: str
    history: tuple[str, ...]
    """Every release that was ever live, oldest first."""
    ports: Ports | None
    key: bool
    secrets: bool
    secrets_version: str
    site: str
    releases: tuple[Release, ...]
    environments: tuple[str, ...]


@dataclass(frozen=True)
class Turn:
    """coturn on the host: the package, and what is ours of it. `texts` are files by their paths."""

    installed: bool
    secret: bool
    active: bool
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Facts:
    """Sizes in bytes; `skew_s` is how far the host's clock is ahead of this one's."""

    system: str
    machine: str
    systemd: int
    cores: int
    memory: int
    disk_free: int
    skew_s: float
    ephemeral: tuple[int, int]
    addresses: tuple[str, ...]
    python: str
    apt: bool
    caddy: str
    """Its version, empty where it is not installed; then `caddy_offered` is what the distribution has."""
    caddy_offered: str
    caddy_active: bool
    caddyfile: str
    ufw: str
    firewalld: str
    tailnet: str
    turn: Turn
    listening: Mapping[int, str]
    """TCP ports in use, and by which program."""
    uv: tuple[str, ...]
    engines: tuple[str, ...]
    bots: Mapping[str, Bot]
    fronts: tuple[Front, ...] = field(default=())

    @property
    def ufw_active(self) -> bool:
        return self.ufw.startswith("Status: active")

    def of(self, bot: str) -> Bot:
        return self.bots.get(bot) or Bot(bot, {}, "", (), None, False, False, "", "", (), ())

    def fronts_of(self, bot: str) -> tuple[Front, ...]:
        return tuple(front for front in self.fronts if front.bot == bot)

    def front(self, bot: str, release: str) -> Front | None:
        return next((f for f in self.fronts_of(bot) if f.release == release), None)


def parse(text: str, now: float | None = None) -> Facts:
    """The facts in what look.sh printed. Lines it does not know are skipped: a login may print its own."""
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, tab, value = line.partition("\t")
        if tab:
            said.setdefault(key, []).append(value)

    def one(key: str) -> str:
        return said.get(key, [""])[-1]

    def number(key: str) -> int:
        return int(one(key)) if one(key).isdigit() else 0

    low, _, high = one("ephemeral").replace("\t", " ").partition(" ")
    fronts = tuple(found for line in said.get("front", []) if (found := _front(line)))
    tcp = (entry.partition(" ") for entry in said.get("tcp", []))
    return Facts(
        system=one("system"),
        machine=one("machine"),
        systemd=number("systemd"),
        cores=max(1, number("cores")),
        memory=number("memory_kb") * 1024,
        disk_free=number("disk_kb") * 1024,
        skew_s=number("clock") - (time.time() if now is None else now),
        ephemeral=(int(low or 32768), int(high.strip() or 60999)),
        addresses=tuple(said.get("address", [])),
        python=one("python"),
        apt=bool(one("apt")),
        caddy=one("caddy"),
        caddy_offered=one("caddy_offered"),
        caddy_active=bool(one("caddy_active")),
        caddyfile=_plain(one("caddyfile")),
        ufw=_plain(one("ufw")),
        firewalld=_plain(one("firewalld")),
        tailnet=one("tailnet"),
        turn=Turn(
            bool(one("coturn")),
            bool(one("turn_secret")),
            one("turn_active") == "active",
            {path: _plain(text) for path, _, text in (entry.partition(" ") for entry in said.get("turn", []))},
        ),
        listening={int(port): user for port, _, user in tcp if port.isdigit()},
        uv=tuple(said.get("uv", [])),
        engines=tuple(said.get("engine", [])),
        bots={name: _bot(name, said) for name in said.get("bot", [])},
        fronts=fronts,
    )


def _bot(name: str, said: Mapping[str, list[str]]) -> Bot:
    def one(key: str) -> str:
        return said.get(f"{name}/{key}", [""])[-1]

    return Bot(
        name=name,
        record={key: str(value) for key, value in _toml(one("deployment.toml")).items()},
        live=_plain(one("live")).strip(),
        history=tuple(_plain(one("history")).split()),
        ports=_ports(_toml(one("ports"))),
        key=bool(one("key")),
        secrets=bool(one("secrets")),
        secrets_version=_plain(one("secrets.version")).strip(),
        site=_plain(one("site")),
        releases=tuple(_release(name, release, said) for release in said.get(f"{name}/release", [])),
        environments=tuple(said.get(f"{name}/env", [])),
    )


def _ports(said: Mapping[str, Any]) -> Ports | None:
    try:
        return Ports(
            int(said["tcp"]),
            str(said.get("udp", "")),
            str(said.get("public_ip", "")),
            tuple(said.get("nets", ())),
            tuple(said.get("addresses", ())),
            bool(said.get("tcp_only", False)),
            str(said.get("relay", "")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _release(bot: str, release: str, said: Mapping[str, list[str]]) -> Release:
    about = _toml(said.get(f"{bot}/release/{release}", [""])[-1])
    active, _, enabled = said.get(f"{bot}/unit/{release}", [""])[-1].partition(" ")
    created_at, environment, transport, url = (
        str(about.get(key, "")) for key in ("created_at", "environment", "transport", "url")
    )
    upstream = str(about.get("upstream", ""))
    return Release(release, created_at, environment, transport, url, active, enabled, upstream)


def _front(line: str) -> Front | None:
    try:
        told: dict[str, Any] = json.loads(line)
        status, ready = told["status"], told["ready"]
        return Front(
            bot=told["bot"],
            release=told["release"],
            ready=bool(ready.get("ready")),
            reason=str(ready.get("reason") or ""),
            listening=bool(status["listening"]),
            draining=bool(status["draining"]),
            sessions=len(status["sessions"]),
            slots=int(status["slots"]["max"]),
            warm=int(status["slots"]["warm"]),
            max_duration_s=float(status["max_duration_s"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _plain(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "replace")


def _toml(encoded: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_plain(encoded))
    except ValueError:
        return {}
