"""Pipecat Cloud as a target: steps of a plan name what they mean by `pcc:/…`; ids are asked for when they are due."""

from collections.abc import Callable
from typing import Any

from voicedeploy.errors import StepFailed
from voicedeploy.plan import Action, Call, Question, Remove, Upload, Write
from voicedeploy_providers.pipecat_cloud.api import (
    AgentRecord,
    NotFound,
    PipecatCloud,
    ReleaseFailed,
    WaitedTooLong,
    Wanted,
)
from voicedeploy_providers.pipecat_cloud.api.agents import POLL_S
from voicedeploy_providers.pipecat_cloud.context import Context
from voicedeploy_providers.pipecat_cloud.seen import stale

AGENTS, SECRETS, BUILDS = "pcc:/agents", "pcc:/secrets", "pcc:/builds"
_LINES = 30
_STALE_S = 300.0


class Platform:
    """`context` packs what a plan means to build; `region` is where."""

    def __init__(self, api: PipecatCloud, region: str, context: Callable[[], Context]) -> None:
        self._api = api
        self._region = region
        self._context = context
        self._begun: dict[str, str] = {}
        """The deployment that was asked for last, by the agent's name: what is shown afterwards may be older."""

    def ask(self, question: Question) -> str:
        raise StepFailed("an agent cannot be asked anything", hint="`voicedeploy status` says what is known")

    def perform(self, action: Action) -> str:
        match action:
            case Upload(to=to):
                return self._build(to.rpartition("/")[2])
            case Write(path=path, content=content):
                _, _, name, key = path.split("/")
                self._api.secrets.put(name, {key: content.decode()}, region=self._region)
                return ""
            case Remove(paths=paths):
                for path in paths:
                    self._remove(path)
                return ""
            case Call(method="POST", url=url, body=body) if url == AGENTS and body:
                made = self._api.agents.create(body["agent"], self._wanted(body), region=self._region)
                self._begun[made.name] = made.desired_deployment_id
                return made.desired_deployment_id[:8]
            case Call(method="POST", url=url, body=body) if url.startswith(AGENTS) and body:
                return self._update(url.rpartition("/")[2], body)
            case Call(method="GET", url=url, wait_s=wait_s) if url.startswith(AGENTS):
                return self._live(url.rpartition("/")[2], wait_s)
            case Call(method="GET", url=url, wait_s=wait_s) if url.startswith(SECRETS):
                self._api.secrets.wait(url.rpartition("/")[2], timeout_s=wait_s)
                return ""
        raise StepFailed(f"Pipecat Cloud has no such step: {type(action).__name__}", hint="report this")

    def _build(self, hash: str) -> str:
        context = self._context()
        if context.hash != hash:
            raise StepFailed("files were changed since the plan was made", hint="`voicedeploy up` again")
        begun = self._api.builds.create(context.packed, hash, region=self._region)
        done = self._api.builds.wait(begun.id)
        return f"built in {done.build_duration_seconds} s" if done.build_duration_seconds else ""

    def _wanted(self, body: Any) -> Wanted:
        build = self._api.builds.made(body["context"], self._region) if "context" in body else None
        if "context" in body and build is None:
            raise StepFailed("the image is not there any more", hint="`voicedeploy up` again builds it")
        asked = {key: value for key, value in body.items() if key not in ("agent", "context", "force")}
        return Wanted(build_id=build.id if build else "", **asked)

    def _update(self, name: str, body: Any) -> str:
        before = self._api.agents.get(name)
        if before is None:
            raise NotFound(f"there is no agent {name} any more", hint="`voicedeploy up` again makes it")
        after = self._api.agents.update(before, self._wanted(body), force=bool(body.get("force")))
        self._begun[name] = after.desired_deployment_id
        return ""

    def _live(self, name: str, wait_s: float) -> str:
        """Of what is wanted by now, not of what happens to answer."""
        deployment = self._begun.get(name, "")
        if not deployment:
            agent = self._api.agents.get(name)
            if agent is None:
                raise NotFound(f"there is no agent {name} any more", hint="`voicedeploy up` again makes it")
            deployment = agent.desired_deployment_id
        try:
            live = self._api.agents.wait(name, deployment, timeout_s=wait_s)
        except (ReleaseFailed, WaitedTooLong) as error:
            lines = self._api.agent(name).logs.last(_LINES, deployment=deployment)
            error.log = tuple(line.log for line in lines)
            raise
        return self._alone(live)

    def _alone(self, live: AgentRecord) -> str:
        """A release is not live while the platform gives new calls to agents of the one before: it can for hours."""
        clock = self._api.clock
        until = clock.monotonic() + _STALE_S
        while left := stale(self._api, live):
            if clock.monotonic() > until:
                raise StepFailed(
                    f"{left} agents of the release before still take new calls, {_STALE_S:g} s after it was replaced",
                    hint="`voicedeploy up` again looks once more; `voicedeploy down`, then `up`, ends them",
                )
            clock.sleep(POLL_S)
            live = self._api.agents.get(live.name) or live
        busy = live.previous_revision.ready_replicas
        return f"{busy} calls end on the release before" if busy else ""

    def _remove(self, path: str) -> None:
        kind, _, rest = path.removeprefix("pcc:/").partition("/")
        name, _, key = rest.partition("/")
        if kind == "agents":
            self._api.agents.delete(name)
        elif key:
            self._api.secrets.unset(name, key)
        else:
            self._api.secrets.delete(name)
