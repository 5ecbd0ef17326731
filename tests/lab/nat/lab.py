"""The lab as a whole: its network, its fronts and its callers."""

import json
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import TypeAdapter
from voicedeploy_providers.vm.network.looking import Seen
from voicedeploy_providers.vm.network.probing import Reached
from voicedeploy_providers.vm.network.reach import Settings

from tests import forked
from tests.lab.nat import relay
from tests.lab.nat.namespaces import Namespaces
from tests.lab.nat.routers import Kind, Router, host_firewall
from voicedeploy.serve.client import FrontClient, FrontUnreachable

Client = Literal["cone", "symmetric", "silent", "near"]
Place = Literal["public", "home"]

HERE = Path(__file__).parent
TALKER = HERE.parent.parent / "call" / "bots" / "talker.py"
PATIENCE_S = 60.0
INTERNET = "198.51.100.1"
ROUTERS = {"home": "198.51.100.2", "cone": "198.51.100.3", "symmetric": "198.51.100.4", "silent": "198.51.100.5"}
PUBLIC, HOME, NEAR, CALLER = "198.51.100.20", "192.168.50.10", "192.168.50.20", "10.66.0.10"
UDP, TCP = range(20000, 20016), range(7860, 7890)
BOT = "bot.lab"
KEY = secrets.token_hex(32)
STUN_NAMES = {
    "stun.l.google.com": relay.ADDRESSES[0],
    "stun1.l.google.com": relay.ADDRESSES[1],
    "stun.cloudflare.com": relay.ADDRESSES[1],
    relay.NAME: relay.ADDRESSES[0],
}
_SEEN, _REACHED = TypeAdapter(Seen), TypeAdapter(Reached)


@dataclass(frozen=True)
class Network:
    """Where the bot is. `firewall`: the host's own lets in nothing but HTTP, and UDP where it is `with-udp`."""

    place: Place
    router: Kind | None = None
    firewall: Literal["none", "http", "with-udp"] = "none"


@dataclass(frozen=True)
class Outcome:
    """`seconds` until connected, after an answer that took `offer_seconds`."""

    heard: bool
    layer: str
    said: str
    seconds: float
    offer_seconds: float


@dataclass(frozen=True)
class Front:
    place: Place
    port: int
    socket: Path
    log: Path
    process: "subprocess.Popen[str]"

    def url(self) -> str:
        return f"http://{BOT}:{self.port}/"


class Lab:
    """`turn_secret`: its relay takes credentials that are made of it, in place of fixed ones."""

    def __init__(self, turn_secret: str = "") -> None:
        self._turn_secret = turn_secret
        # Short, as a unix socket's path has to be.
        self.folder = Path(tempfile.mkdtemp(prefix="vdn-"))
        self.net = Namespaces()
        self._fronts: dict[tuple[Place, Settings], Front] = {}
        self._served: list[Front] = []
        self._callers: dict[Client, subprocess.Popen[str]] = {}
        self._now: Network | None = None

    # --- building -----------------------------------------------------------------------------------

    def build(self) -> None:
        net = self.net
        self.internet = net.make("internet", {})
        net.bridge(self.internet, "br0", f"{INTERNET}/24")
        self.servers = net.make("servers", {})
        self._join(self.servers, "eth0", *relay.ADDRESSES)
        net.rules(self.servers, relay.RULES)
        self.public = net.make("public", STUN_NAMES)
        self._join(self.public, "eth0", PUBLIC)
        self.home_router = net.make("home-router", {})
        self._join(self.home_router, "wan", ROUTERS["home"])
        net.bridge(self.home_router, "lan", "192.168.50.1/24")
        self.home = net.make("home", STUN_NAMES)
        self._behind(self.home, self.home_router, HOME)
        self.near = net.make("near", {**STUN_NAMES, BOT: HOME})
        self._behind(self.near, self.home_router, NEAR)
        self.clients: dict[Client, str] = {"near": self.near}
        self._routers = [self.home_router]
        outside: dict[Client, Kind] = {"cone": "cone", "symmetric": "symmetric", "silent": "no-udp"}
        for client, kind in outside.items():
            router = net.make(f"{client}-router", {})
            self._join(router, "wan", ROUTERS[client])
            net.bridge(router, "lan", "10.66.0.1/24")
            self._forwards(router)
            net.rules(router, Router(kind).rules())
            self.clients[client] = net.make(client, STUN_NAMES)
            self._behind(self.clients[client], router, CALLER)
            self._routers.append(router)
        self._forwards(self.home_router)
        self._serve_relay()

    def _join(self, name: str, interface: str, *addresses: str) -> None:
        """To the internet."""
        self.net.link(name, interface, self.internet, f"p{addresses[0].rpartition('.')[2]}", "br0")
        for address in addresses:
            self.net.ip(name, "addr", "add", f"{address}/24", "dev", interface)
        # coturn finds no way to anybody without it.
        self.net.ip(name, "route", "add", "default", "via", INTERNET)

    def _behind(self, name: str, router: str, address: str) -> None:
        self.net.link(name, "eth0", router, f"p{address.rpartition('.')[2]}", "lan")
        self.net.ip(name, "addr", "add", f"{address}/24", "dev", "eth0")
        self.net.ip(name, "route", "add", "default", "via", f"{address.rpartition('.')[0]}.1")

    def _forwards(self, router: str) -> None:
        self.net.run(router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def _serve_relay(self) -> None:
        log = self.folder / "turn.log"
        config = relay.prepare(self.folder, self._turn_secret)
        process = self.net.start(self.servers, ["turnserver", "-c", str(config)], log=log)
        until = time.monotonic() + PATIENCE_S
        tries = " && ".join(f"(exec 3<>/dev/tcp/{relay.ADDRESSES[0]}/{port})" for port in (3478, 5349))
        while True:
            probe = ["ip", "netns", "exec", self.servers, "bash", "-c", tries]
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)

    # --- using --------------------------------------------------------------------------------------

    def be(self, network: Network) -> None:
        """Puts the bot into this network; what was under way is forgotten everywhere."""
        if network != self._now:
            host = self.public if network.place == "public" else self.home
            tcp, udp = f"{TCP[0]}-{TCP[-1]}", f"{UDP[0]}-{UDP[-1]}"
            if network.router:
                self.net.rules(self.home_router, Router(network.router, HOME, ROUTERS["home"], tcp, udp).rules())
            text = (
                ""
                if network.firewall == "none"
                else host_firewall(tcp=tcp, udp=udp if network.firewall == "with-udp" else "")
            )
            self.net.rules(host, text)
            self._now = network
            where = PUBLIC if network.place == "public" else ROUTERS["home"]
            for client in ("cone", "symmetric", "silent"):
                hosts = {**STUN_NAMES, BOT: where}
                file = Path("/etc/netns", self.clients[client], "hosts")
                file.write_text("127.0.0.1 localhost\n" + "".join(f"{a} {name}\n" for name, a in hosts.items()))
        for router in self._routers:
            self.net.forget(router)

    def host(self, network: Network) -> str:
        return self.public if network.place == "public" else self.home

    def checked(self, network: Network, settings: Settings) -> tuple[Seen, Reached]:
        """What `check` sees and tries, from the laptop behind the cone router."""
        asked = {
            "ports": list(UDP), "stun": settings.stun, "turn": settings.turn, "public_ip": settings.public_ip
        }  # fmt: skip
        argv = [str(forked.ours().python), str(HERE / "laptop.py"), self.host(network)]
        certificate = f"SSL_CERT_FILE={self.folder / 'turn.crt'}"
        told = json.loads(self.net.run(self.clients["cone"], "env", certificate, *argv, given=json.dumps(asked)))
        return _SEEN.validate_python(told["seen"]), _REACHED.validate_python(told["reached"])

    def begin(self, fronts: Sequence[tuple[Place, Settings]]) -> None:
        """Starts a front for each, all at once, and waits until all could take a call."""
        for place, settings in fronts:
            if (place, settings) not in self._fronts:
                self._fronts[place, settings] = self._front(place, settings)
        self.until_ready(*self._fronts.values())

    def until_ready(self, *fronts: Front) -> None:
        until = time.monotonic() + PATIENCE_S
        for front in fronts:
            while not _ready(front):
                assert front.process.poll() is None, _said(front)
                assert time.monotonic() < until, _said(front)
                time.sleep(0.1)

    def call(self, clients: Mapping[Any, tuple[Client, Place, Settings]]) -> dict[Any, Outcome]:
        """Calls at the same time; an outcome for each key."""
        fronts = {key: (client, self._fronts[place, settings]) for key, (client, place, settings) in clients.items()}
        return self.call_fronts(fronts)

    def call_fronts(
        self, clients: Mapping[Any, tuple[Client, Front]], *, relay_only: bool = False
    ) -> dict[Any, Outcome]:
        waiting: dict[Client, dict[str, Any]] = {}
        for key, (client, front) in clients.items():
            caller = self._caller(client)
            mark = secrets.token_hex(4)
            waiting.setdefault(client, {})[mark] = key
            asked = {"id": mark, "url": front.url(), "key": KEY, "relay_only": relay_only}
            assert caller.stdin
            caller.stdin.write(json.dumps(asked) + "\n")
            caller.stdin.flush()
        outcomes = {}
        for client, marks in waiting.items():
            caller = self._caller(client)
            assert caller.stdout
            while marks:
                line = caller.stdout.readline()
                assert line, f"the caller {client} has ended"
                told = json.loads(line)
                key = marks.pop(told.pop("id"))
                outcomes[key] = Outcome(**told)
        return outcomes

    def _caller(self, client: Client) -> "subprocess.Popen[str]":
        if client not in self._callers:
            argv = [str(forked.ours().python), str(HERE / "caller.py")]
            process = self.net.start(self.clients[client], argv, env=self.env())
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            self._callers[client] = process
        return self._callers[client]

    def env(self) -> dict[str, str]:
        """Trusts the relay's certificate."""
        return {"SSL_CERT_FILE": str(self.folder / "turn.crt")}

    def _front(self, place: Place, settings: Settings) -> Front:
        servers: list[dict[str, Any]] = [{"urls": url} for url in settings.stun]
        servers += [{"urls": url, "username": relay.USER, "credential": relay.PASSWORD} for url in settings.turn]
        media = {"udp_ports": settings.udp_ports, "public_ip": settings.public_ip, "nets": list(settings.nets)}
        return self.serve(place, {"transport": {"ice_servers": servers}, "media": media})

    def serve(
        self,
        place: Place,
        tables: Mapping[str, Mapping[str, Any]],
        *,
        values: Mapping[str, str] | None = None,
        command: Sequence[str] = ("-m", "voicedeploy", "serve", "--config"),
    ) -> Front:
        """A front of the talking bot; `tables` adds to its file, `values` are its secrets."""
        number = len(self._served)
        folder = self.folder / f"f{number}"
        (folder / "project").mkdir(parents=True)
        shutil.copy(TALKER, folder / "project" / "bot.py")
        key = folder / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        secret = folder / "secrets.json"
        secret.write_text(json.dumps(values or {}))
        secret.chmod(0o600)
        bot = {"name": "talker", "release": "r1", "project": "project", "python": str(forked.bots().python)}
        config: dict[str, dict[str, Any]] = {
            "bot": {**bot, "env_file": "secrets.json"},
            "listen": {"host": "0.0.0.0", "port": TCP[number], "socket": str(folder / "front.sock")},  # noqa: S104
            "session": {"cpu": 0.25, "connect_timeout_s": 15},
            "pool": {"min": 1, "max": 4},
            "access": {"key_file": "key", "starts_per_minute": 0},
            "log": {"file": "front.log"},
        }
        for table, more in tables.items():
            config[table] = {**config.get(table, {}), **more}
        file = folder / "front.toml"
        file.write_text(tomli_w.dumps(config))
        name = self.public if place == "public" else self.home
        argv = [str(forked.ours().python), *command, str(file)]
        process = self.net.start(name, argv, env=self.env(), log=folder / "said.log")
        self._served.append(Front(place, TCP[number], folder / "front.sock", folder / "front.log", process))
        return self._served[-1]

    def close(self) -> None:
        try:
            self.net.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _ready(front: Front) -> bool:
    try:
        with FrontClient(socket=front.socket) as client:
            return client.readyz().ready
    except FrontUnreachable:
        return False


def _said(front: Front) -> str:
    return "".join(file.read_text()[-3000:] for file in (front.log, front.log.parent / "said.log") if file.exists())
