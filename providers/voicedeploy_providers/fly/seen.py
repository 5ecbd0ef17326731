"""What Fly has of a bot, in a few looks: the app, its addresses, its machines, and what their fronts say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from voicedeploy.deployment import Deployment
from voicedeploy.errors import Locked, StepFailed
from voicedeploy_providers.fly.api import App, AppRecord, Fly, Forbidden, Ip, Machine, NameTaken, Secret
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
    everybody: tuple[Machine, ...] = ()
    """Of the app, also those that are not the bot's."""
    fronts: dict[str, Front] = field(default_factory=dict)
    """By the machine's id; of those that run."""
    changing: frozenset[str] = frozenset()
    """Ids of machines that somebody else holds, so that nothing can be asked there."""

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
        """What is live; where nothing is, what an `up` began with, so that it can be taken away."""
        newest = sorted(self.machines, key=lambda m: m.created_at, reverse=True)
        return next((d for m in (*self.live, *newest) if (d := Deployment.from_labels(m.metadata))), None)


def released(machine: Machine) -> str:
    return machine.metadata.get("voicedeploy-release", "")


def look(fly: Fly, app: str, bot: str, nonces: Mapping[str, str], *, closely: bool = True) -> Seen:
    """`closely`: the fronts are asked too, each by a program on its machine. `nonces`: of leases held here."""
    there = found(fly, app)
    if there is None:
        return Seen()
    mine = fly.app(app)
    everybody = mine.machines.list()
    machines = tuple(machine for machine in everybody if machine.metadata.get(OURS) == bot)
    changing: set[str] = set()
    fronts = dict(_fronts(mine, machines, nonces, changing)) if closely else {}
    return Seen(there, mine.ips.list(), mine.secrets.list(), machines, everybody, fronts, frozenset(changing))


def found(fly: Fly, app: str) -> AppRecord | None:
    """`NameTaken` where it is an app of somebody else's."""
    try:
        return fly.apps.get(app)
    except Forbidden as error:
        hint = (
            'choose another name: [provider.fly] app = "…"; if the app is yours, the token is of another organization'
        )
        raise NameTaken(error.message, hint=hint, status=error.status, request_id=error.request_id) from error


def _fronts(
    app: App, machines: tuple[Machine, ...], nonces: Mapping[str, str], changing: set[str]
) -> Iterator[tuple[str, Front]]:
    for machine in machines:
        if machine.state != "started":
            continue
        try:
            said = run(app, machine.id, (PYTHON, "-I", "-m", ASK, "fronts", FRONTS), nonce=nonces.get(machine.id, ""))
        except Locked:
            changing.add(machine.id)
            continue
        except StepFailed:
            continue
        for line in said.splitlines():
            front = json.loads(line)
            status, slots = front["status"], front["status"]["slots"]
            ready = bool(front["ready"].get("ready"))
            yield machine.id, Front(ready, status["draining"], slots["busy"], slots["max"], slots["warm"], answers=True)
