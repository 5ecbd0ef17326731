"""What Fly has of a bot, in a few looks: the app, its addresses, its machines, and what their fronts say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from voicedeploy.deployment import Deployment
from voicedeploy.errors import Locked, StepFailed
from voicedeploy_providers.fly.api import App, AppRecord, Fly, Ip, Machine, Secret
from voicedeploy_providers.fly.generation import FRONTS, LIVE, OURS, PYTHON
from voicedeploy_providers.fly.inside import ASK, run


@dataclass(frozen=True)
class Front:
    """What the front on a machine says of itself; `ready` False with nothing else where it does not answer."""

    ready: bool = False
    draining: bool = False
    sessions: int = 0
    slots: int = 0
    warm: int = 0
    answers: bool = False


@dataclass(frozen=True)
class Seen:
    app: AppRecord | None = None
    ips: tuple[Ip, ...] = ()
    secrets: tuple[Secret, ...] = ()
    machines: tuple[Machine, ...] = ()
    fronts: dict[str, Front] = field(default_factory=dict)
    """By the machine's id; of those that run."""

    def of(self, release: str) -> tuple[Machine, ...]:
        return tuple(m for m in self.machines if released(m) == release)

    @property
    def live(self) -> tuple[Machine, ...]:
        return tuple(m for m in self.machines if m.metadata.get(LIVE) == "1")

    @property
    def releases(self) -> tuple[str, ...]:
        """Newest first."""
        newest = sorted(self.machines, key=lambda m: m.created_at, reverse=True)
        return tuple(dict.fromkeys(released(machine) for machine in newest))

    def front(self, machine: Machine) -> Front:
        return self.fronts.get(machine.id, Front())

    def sessions(self, release: str) -> int:
        return sum(self.front(machine).sessions for machine in self.of(release))

    @property
    def deployment(self) -> Deployment | None:
        return next((d for m in self.live if (d := Deployment.from_labels(m.metadata))), None)


def released(machine: Machine) -> str:
    return machine.metadata.get("voicedeploy-release", "")


def look(fly: Fly, app: str, bot: str, nonces: Mapping[str, str], *, closely: bool = True) -> Seen:
    """`closely`: the fronts are asked too, each by a program on its machine. `nonces`: of leases held here."""
    there = fly.apps.get(app)
    if there is None:
        return Seen()
    mine = fly.app(app)
    machines = mine.machines.list({OURS: bot})
    fronts = dict(_fronts(mine, machines, nonces)) if closely else {}
    return Seen(there, mine.ips.list(), mine.secrets.list(), machines, fronts)


def _fronts(app: App, machines: tuple[Machine, ...], nonces: Mapping[str, str]) -> Iterator[tuple[str, Front]]:
    for machine in machines:
        if machine.state != "started":
            continue
        try:
            said = run(app, machine.id, (PYTHON, "-I", "-m", ASK, "fronts", FRONTS), nonce=nonces.get(machine.id, ""))
        except (StepFailed, Locked):
            # It does not answer, or somebody else is changing it.
            continue
        for line in said.splitlines():
            front = json.loads(line)
            status, slots = front["status"], front["status"]["slots"]
            ready = bool(front["ready"].get("ready"))
            yield machine.id, Front(ready, status["draining"], slots["busy"], slots["max"], slots["warm"], answers=True)
