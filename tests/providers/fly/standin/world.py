"""What the platform has: organizations' apps, with their addresses, secrets, machines and log."""

import hashlib
import itertools
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.oci import Registry
from tests.providers.fly.standin.ground import Ground
from tests.providers.fly.standin.images import Images
from tests.providers.fly.standin.machine import Machine
from tests.providers.fly.standin.pulling import Pulling
from tests.providers.fly.standin.settings import Settings
from tests.providers.standins.clock import Clock

_worlds = itertools.count()


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, error: str, word: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, **({"status": word} if word else {})}


@dataclass
class Secret:
    value: str = field(repr=False)
    created_at: str
    updated_at: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.value.encode()).hexdigest()[:16]


@dataclass
class App:
    name: str
    org: str
    id: str
    machines: dict[str, Machine] = field(default_factory=dict)
    ips: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, Secret] = field(default_factory=dict)
    secret_versions: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    """When, and all values then; the version is the index counted from 1."""
    certificates: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def alive(self) -> Iterator[Machine]:
        # A copy: packets are carried by another thread.
        return (machine for machine in list(self.machines.values()) if machine.state != "destroyed")

    def v4(self) -> list[str]:
        return [ip["ip"] for ip in self.ips if "." in ip["ip"] and not ip["shared"]]


class World:
    """`may_push` says whether somebody, by name and password, may use the registry."""

    def __init__(self, clock: Clock, settings: Settings, ground: Ground, may_push: Callable[[str, str], bool]) -> None:
        self.clock = clock
        self.settings = settings
        self.host = ground.host
        self.folder = Path(tempfile.mkdtemp(prefix="fly-standin-"))
        self.registry = Registry(may_push, lambda repository: repository in self.apps)
        self.images = Images(Pulling(self.registry, self.folder / "images"))
        self.apps: dict[str, App] = {}
        self.faults: list[str] = []
        self._numbers = itertools.count(1)
        # Addresses of this process and this stand-in alone, so that several may run at once.
        self._net = f"127.{20 + os.getpid() % 200}"
        self._third = 2 * next(_worlds) % 250
        self._dedicated = ground.dedicated or f"{self._net}.{self._third + 1}"

    def number(self) -> int:
        return next(self._numbers)

    def public_v4(self) -> str:
        return f"{self._dedicated}.{1 + self.number() % 250}"

    def machine_v4(self) -> str:
        """What `fly-global-services` is to a machine."""
        return f"{self._net}.{self._third + 2}.{1 + self.number() % 250}"

    def now(self) -> str:
        return stamp(self.clock.wall())

    def app(self, name: str, org: str) -> App:
        app = self.apps.get(name)
        if app is None:
            raise Refusal(404, f"app not found: {name}")
        if app.org != org:
            raise Refusal(403, f"app {name} belongs to another organization")
        return app

    def machine(self, app: App, machine: str) -> Machine:
        found = app.machines.get(machine)
        if found is None or found.state == "destroyed":
            raise Refusal(404, f"machine not found: {machine}")
        return found

    def boot_secrets(self, app: App, at_least: int) -> dict[str, str]:
        """What a machine that starts now gets: what it asked for, or what is visible everywhere by now."""
        seen = self.clock.monotonic() - self.settings.secrets_lag_s
        visible = sum(at <= seen for at, _ in app.secret_versions)
        version = max(at_least, visible)
        return app.secret_versions[version - 1][1] if version else {}

    def write(self, app: App, machine: Machine, line: str) -> None:
        attributes = {
            "timestamp": self.now(),
            "message": line,
            "level": "info",
            "instance": machine.id,
            "region": machine.region,
            "meta": {"instance": machine.id, "region": machine.region, "event": {"provider": "app"}},
        }
        app.log.append({"id": f"{len(app.log) + 1:012d}", "type": "log", "attributes": attributes})


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fresh_id() -> str:
    return secrets.token_hex(7)


def ulid() -> str:
    return "01" + "".join(secrets.choice("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(24))
