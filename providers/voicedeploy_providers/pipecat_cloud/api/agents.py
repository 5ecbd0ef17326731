"""Agents: what is deployed, and what has become of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.pipecat_cloud.api.errors import NotFound, ReleaseFailed, Unanswered, WaitedTooLong
from voicedeploy_providers.pipecat_cloud.api.records import AgentRecord, AgentSummary, Health, Record

POLL_S = 5.0
_SILENCES = 5
"""So many polls in a row may stay unanswered."""


@dataclass(frozen=True)
class Wanted:
    """What an agent is to be; what is None or "" is left as it is, or as the platform has it by default."""

    image: str = ""
    build_id: str = ""
    secret_set: str = ""
    pull_secret_set: str = ""
    min_agents: int | None = None
    max_agents: int | None = None
    profile: str = ""
    max_session_s: int | None = None
    krisp: str = ""

    def wire(self) -> dict[str, Any]:
        scaling = {"minAgents": self.min_agents, "maxAgents": self.max_agents}
        asked = {
            "image": self.image,
            "buildId": self.build_id,
            "secretSet": self.secret_set,
            "imagePullSecretSet": self.pull_secret_set,
            "autoScaling": {k: v for k, v in scaling.items() if v is not None},
            "agentProfile": self.profile,
            "maxSessionDuration": self.max_session_s,
            "krispViva": {"audioFilter": self.krisp} if self.krisp else None,
        }
        return {key: value for key, value in asked.items() if value}


class _Agents(Record):
    services: tuple[AgentSummary, ...] = ()


class Agents:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, region: str = "") -> tuple[AgentSummary, ...]:
        what = "listing the agents"
        params = {"region": region} if region else None
        return self._wire.read(_Agents, self._wire.call("GET", "/agents", what, params=params), what).services

    def get(self, name: str) -> AgentRecord | None:
        what = f"looking at the agent {name}"
        try:
            return self._wire.read(AgentRecord, self._wire.call("GET", self._of(name), what), what)
        except NotFound:
            return None

    def create(self, name: str, wanted: Wanted, *, region: str) -> AgentRecord:
        """`NameTaken` also where the agent is the caller's own: look first. `SecretsPending` until its set is ready."""
        what = f"creating the agent {name} in {region}"
        body = {"serviceName": name, "region": region, **wanted.wire()}

        def make() -> AgentRecord:
            return self._wire.read(AgentRecord, self._wire.call("POST", "/agents", what, body=body, again=False), what)

        return self._wire.once(make, lambda: self.get(name), what)

    def update(self, before: AgentRecord, wanted: Wanted, *, force: bool = False) -> AgentRecord:
        """What differs is deployed. Agents that run are replaced only where the image, the profile, the secret set's
        name or the longest session differ, or by `force`: the same tag or a new secret value alone changes nothing.
        """
        what = f"updating the agent {before.name}"
        body: Mapping[str, Any] = {**wanted.wire(), **({"forceRedeploy": True} if force else {})}

        def make() -> AgentRecord:
            answer = self._wire.call("POST", self._of(before.name), what, body=body, again=not force)
            return self._wire.read(AgentRecord, answer, what)

        def find() -> AgentRecord | None:
            now = self.get(before.name)
            return now if now and now.desired_deployment_id != before.desired_deployment_id else None

        return self._wire.once(make, find, what) if force else make()

    def delete(self, name: str) -> None:
        """Its sessions go on until they end. One that is not there is fine."""
        try:
            self._wire.call("DELETE", self._of(name), f"deleting the agent {name}")
        except NotFound:
            return

    def wait(
        self,
        name: str,
        deployment: str,
        *,
        timeout_s: float = 600.0,
        tell: Callable[[AgentRecord], None] = lambda _: None,
    ) -> AgentRecord:
        """Until `deployment` takes calls. `ReleaseFailed` as soon as it cannot, `WaitedTooLong`; `tell` with each look.

        A deployment that another one has replaced meanwhile is one that cannot.
        """
        what = f"waiting for the agent {name}"
        until = self._wire.clock.monotonic() + timeout_s
        silences, seen = 0, None
        while self._wire.clock.monotonic() < until:
            try:
                seen = self.get(name)
                silences = 0
            except Unanswered:
                silences += 1
                if silences > _SILENCES:
                    raise
            if seen is not None:
                tell(seen)
                if seen.desired_deployment_id == deployment and seen.live:
                    return seen
                if seen.desired_deployment_id == deployment and seen.failed:
                    raise _failed(what, seen)
            self._wire.clock.sleep(POLL_S)
        at = f"it is {seen.current_revision.phase.lower() or 'unknown'}" if seen else "it is not there"
        raise WaitedTooLong(
            f"{what}: {at} after {timeout_s:g} s{_because(seen.current_revision.health) if seen else ''}",
            hint="`voicedeploy logs` has what the bot said last; `voicedeploy up` again looks at what is there",
        )

    def _of(self, name: str) -> str:
        return f"/agents/{quote(name, safe='')}"


def _failed(what: str, agent: AgentRecord) -> ReleaseFailed:
    revision = agent.current_revision
    goes_on = "the release before goes on" if agent.available else "nothing takes calls"
    hint = "it is the platform's own trouble: try again in a while" if revision.has_infrastructure_issue else _LOGS
    return ReleaseFailed(f"{what}: the new release failed{_because(revision.health)}; {goes_on}", hint=hint)


def _because(health: Health) -> str:
    """What the platform says of agents that do not run."""
    said = [health.reason, health.last_termination_reason, health.message]
    if health.last_exit_code is not None:
        said.append(f"exit code {health.last_exit_code}")
    if health.restart_count:
        said.append(f"{health.restart_count} restarts")
    told = list(dict.fromkeys(part for part in said if part))
    return f" ({', '.join(told)})" if told else ""


_LOGS = "`voicedeploy logs` has what the bot said last"
