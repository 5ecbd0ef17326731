"""What Pipecat Cloud has of a bot, in a few looks."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicedeploy_providers.pipecat_cloud.api import AgentRecord, Build, NameTaken, PipecatCloud, SecretSet
from voicedeploy_providers.pipecat_cloud.lowering import secret_set
from voicedeploy_providers.pipecat_cloud.records import CHANGED, Entry, book

_MOST_BUILDS = 100
_MOST_BUSY = 100


@dataclass(frozen=True)
class Seen:
    agent: AgentRecord | None = None
    book: SecretSet | None = None
    secrets: SecretSet | None = None
    builds: dict[str, Build] = field(default_factory=dict)
    """Those that can be deployed, by the hash of their context."""
    stale: int = 0
    """Agents of the release before that may still be given new calls."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Newest first."""
        return tuple(sorted(self._entries(), reverse=True))

    def _entries(self) -> Iterator[Entry]:
        for key in self.book.keys if self.book else ():
            if entry := Entry.read(key):
                yield entry

    @property
    def changed(self) -> bool:
        return self.book is not None and CHANGED in self.book.keys

    @property
    def live(self) -> Entry | None:
        """What is wanted of the agent, whether it has become so or not. None too for an image that is not ours."""
        if self.agent is None:
            return None
        image = self.agent.deployment.spec.image
        # The platform may add the digest to what its builder said.
        of_it = {hash for hash, build in self.builds.items() if build.image_uri and image.startswith(build.image_uri)}
        return next((entry for entry in self.entries if entry.hash in of_it), None)


def look(api: PipecatCloud, name: str) -> Seen:
    """`NameTaken` where there is an agent that was not made from here."""
    agent, records = api.agents.get(name), api.secrets.get(book(name))
    if agent is not None and records is None:
        raise NameTaken(
            f"there is an agent {name}, and voicedeploy did not make it",
            hint='choose another name: [provider.pipecat-cloud] agent = "…"; or delete that agent first',
        )
    if records is None:
        return Seen(secrets=api.secrets.get(secret_set(name)))
    builds = api.builds.list(region=records.region, status="success", most=_MOST_BUILDS)
    newest_last = {build.context_hash: build for build in reversed(builds)}
    return Seen(agent, records, api.secrets.get(secret_set(name)), newest_last, stale(api, agent) if agent else 0)


def stale(api: PipecatCloud, agent: AgentRecord) -> int:
    """Those that are in a call are none: they end with it."""
    before = agent.previous_revision
    if not agent.live or not before.ready_replicas:
        return 0
    busy = api.agent(agent.name).sessions.list("active", deployment=before.deployment_id, most=_MOST_BUSY)
    return max(0, before.ready_replicas - len(busy))
