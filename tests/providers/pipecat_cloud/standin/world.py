"""What the platform has: an organization's agents with their releases and running instances, secrets and builds."""

import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.providers.pipecat_cloud.standin.images import Image
from tests.providers.pipecat_cloud.standin.settings import Settings
from tests.providers.standins.clock import Clock

if TYPE_CHECKING:
    from tests.providers.pipecat_cloud.standin.instances import Instance

REGIONS = {"us-west": "US West", "us-east": "US East", "eu-central": "EU Central", "ap-south": "AP South"}
PROFILES = {"agent-1x": ("500m", "1Gi"), "agent-2x": ("1", "2Gi"), "agent-3x": ("1.5", "3Gi")}


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, error: str, code: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.body: dict[str, Any] = {"error": error, "code": code or str(status)}


@dataclass
class Organization:
    """`token` is of a person, for the vendor's own tool; the others are the organization's keys."""

    name: str = "acme"
    private: str = field(default_factory=lambda: f"sk_{secrets.token_urlsafe(24)}", repr=False)
    public: str = field(default_factory=lambda: f"pk_{secrets.token_urlsafe(24)}", repr=False)
    token: str = field(default_factory=lambda: f"pcc_pat_{secrets.token_urlsafe(24)}", repr=False)
    id: str = field(default_factory=lambda: str(uuid4()))
    region: str = "us-west"


@dataclass
class SecretSet:
    name: str
    org: Organization
    region: str
    pull: bool = False
    values: dict[str, str] = field(default_factory=dict, repr=False)
    changed: float = 0.0
    error: str = ""


@dataclass
class Build:
    id: str
    org: Organization
    region: str
    hash: str
    dockerfile: str
    size: int
    created: float
    status: str = "pending"
    error: str = ""
    finished: float = 0.0
    log: list[str] = field(default_factory=list)
    image: Image | None = None

    @property
    def uri(self) -> str:
        return f"builds.pipecat.internal/{self.org.name}/{self.hash}:{self.id[:8]}"


@dataclass
class Wants:
    """What one release of an agent is to be."""

    image: str
    secret_set: str
    pull_set: str
    profile: str
    max_session_s: int
    krisp: str | None


@dataclass
class Release:
    """The platform calls it a deployment. Its secrets are those of when it was made."""

    wants: Wants
    image: Image | None
    env: dict[str, str] = field(repr=False)
    created: float
    id: str = field(default_factory=lambda: str(uuid4()))
    phase: str = "Creating"
    phase_at: float = 0.0
    instances: "list[Instance]" = field(default_factory=list)
    started: int = 0
    restarts: int = 0
    exit_code: int | None = None
    reason: str = ""
    message: str = ""

    def alive(self) -> "Iterator[Instance]":
        return (instance for instance in self.instances if instance.alive)


@dataclass
class Session:
    id: str
    release: Release
    created: float
    transport: str
    cold: bool
    start_s: float = 0.0
    ended: float | None = None
    status: str = ""
    instance: "Instance | None" = None


@dataclass
class Agent:
    name: str
    org: Organization
    region: str
    min: int
    max: int
    born: float
    id: str = field(default_factory=lambda: str(uuid4()))
    releases: list[Release] = field(default_factory=list)
    desired: list[tuple[float, str]] = field(default_factory=list)
    """When, and which release was wanted then."""
    reconciled: str = ""
    serving: Release | None = None
    sessions: dict[str, Session] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    updated: float = 0.0
    deleted: bool = False
    socket_auth: str = "none"
    """Whether who opens a socket must show a `token`."""

    def wanted(self, at: float) -> Release:
        """The newest that was wanted at that time."""
        there = [id for when, id in self.desired if when <= at] or [self.desired[0][1]]
        return next(release for release in self.releases if release.id == there[-1])

    @property
    def newest(self) -> Release:
        return self.releases[-1]

    def alive(self) -> "Iterator[Instance]":
        return (instance for release in self.releases for instance in release.alive())

    def active(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.ended is None]


@dataclass(frozen=True)
class Ticket:
    """What a token for a socket is good for, once and `until` then."""

    agent: Agent
    session: str
    until: float


class World:
    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock = clock
        self.settings = settings
        self.url = ""
        self.folder = Path(tempfile.mkdtemp(prefix="pcc-standin-"))
        self.orgs: list[Organization] = [Organization()]
        self.agents: dict[str, Agent] = {}
        self.gone: list[Agent] = []
        self.secrets: dict[str, SecretSet] = {}
        self.builds: dict[str, Build] = {}
        self.images: dict[str, Image] = {}
        self.tokens: dict[str, Ticket] = {}
        self.uploads: dict[str, tuple[str, bytes | None]] = {}
        """The secret that opens it, and what was put there."""

    def now(self) -> float:
        return self.clock.monotonic()

    def agent(self, name: str, org: Organization) -> Agent:
        """Of what is shown: a new one is not there yet for a while."""
        found = self.agents.get(name)
        if found is None or found.org is not org or found.born > self.now() - self.settings.lag_s:
            raise Refusal(404, f"Agent {name} not found")
        return found

    def own(self, name: str, org: Organization) -> Agent:
        found = self.agents.get(name)
        if found is None or found.org is not org:
            raise Refusal(404, f"Agent {name} not found")
        return found

    def status(self, found: SecretSet) -> str:
        if self.now() < found.changed + self.settings.secrets_s:
            return "pending"
        return "failed" if found.error or found.name in self.settings.failing_secrets else "ready"

    def write(self, agent: Agent, release: Release, session: str, line: str) -> None:
        agent.log.append({"log": line, "at": self.clock.wall(), "deploymentId": release.id, "session": session})

    def stamp(self, at: float) -> str:
        """`at` is of the stand-in's clock."""
        return stamp(self.clock.wall() - self.now() + at)


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
