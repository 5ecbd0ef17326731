"""Pipecat Cloud by its documented API: the image is built there, and each call has an agent of its own."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from voicedeploy import project, targets
from voicedeploy.deployment import Deployment, Draining, Release, ReleaseState, State, Status
from voicedeploy.errors import Locked, NotReady, UsageError
from voicedeploy.network import Offer, Transport
from voicedeploy.plan import Call, Door, Plan, Remove, Step, Target, Upload, Write
from voicedeploy.provider import Finding, Secrets
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec, Upstream
from voicedeploy.transports import carried
from voicedeploy.way import Way
from voicedeploy_providers.pipecat_cloud import checks, leading
from voicedeploy_providers.pipecat_cloud.api import NoKey, Places, Unanswered
from voicedeploy_providers.pipecat_cloud.api import PipecatCloud as Api
from voicedeploy_providers.pipecat_cloud.context import Context
from voicedeploy_providers.pipecat_cloud.lowering import Lowered, lower, secret_set
from voicedeploy_providers.pipecat_cloud.options import Options
from voicedeploy_providers.pipecat_cloud.records import CHANGED, Entry, book
from voicedeploy_providers.pipecat_cloud.secrets import AgentSecrets
from voicedeploy_providers.pipecat_cloud.seen import Seen, look
from voicedeploy_providers.pipecat_cloud.target import AGENTS, BUILDS, SECRETS, Platform
from voicedeploy_providers.pipecat_cloud.ways import in_room, way

_LIVE_S = 900.0
_STORED_S = 120.0
_USUAL_REGION = "us-west"
"""What is rendered where nobody may be asked."""


class PipecatCloud:
    name: ClassVar[str] = "pipecat-cloud"
    summary: ClassVar[str] = "Pipecat Cloud by its API: an agent for each call; needs a private and a public key"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._api: Api | None = None
        self._region = options.region
        self._seen: dict[str, Seen] = {}
        self._lowered: Lowered | None = None
        self._holding: dict[str, str] = {}
        self._closely = False

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> Self:
        return cls(Options.parse(options, cls.name))

    def parts(self) -> list[Self]:
        return [self]

    @property
    def where(self) -> str:
        return f"{self.name} {self._options.agent}".rstrip()

    def upstream(self, spec: Spec) -> Upstream:
        """For fronts elsewhere."""
        return leading.upstream(spec, self._options, Places.from_env())

    # --- looking ------------------------------------------------------------------------------------

    def _cloud(self) -> Api:
        if self._api is None:
            self._api = Api.from_env()
        return self._api

    def close(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None

    def _where(self) -> str:
        self._region = self._region or self._cloud().platform.default_region() or _USUAL_REGION
        return self._region

    def _agent(self, bot: str) -> str:
        return self._options.agent or bot

    def _look(self, bot: str) -> Seen:
        self._seen[bot] = look(self._cloud(), self._agent(bot))
        return self._seen[bot]

    def _of(self, bot: str) -> Seen:
        return self._seen.get(bot) or self._look(bot)

    def offer(self, spec: Spec, *, closely: bool) -> Offer:
        self._closely = closely
        return targets.offer(targets.find(self.name))

    def check(self, spec: Spec) -> list[Finding]:
        try:
            lowered = lower(spec, self._options, self._where())
            secrets = self.secrets(spec.bot.name).names()
            called = self._organization(spec.bot.name) if carried(spec.transport.kind) else ""
            known = checks.Known(secrets, called, chosen=bool(self._options.region), closely=self._closely)
            return checks.findings(lowered, self._cloud(), known)
        except Unanswered as error:
            # Nothing has been begun.
            raise NotReady(
                error.message, hint="the network from here, or status.pipecat.daily.co; then again"
            ) from error

    def _organization(self, bot: str) -> str:
        """Nothing where nobody knows yet: before the first agent is there."""
        if self._options.organization:
            return self._options.organization
        agent = self._cloud().agents.get(self._agent(bot))
        return agent.organization if agent else ""

    def render(self, spec: Spec) -> list[Artifact]:
        """What the vendor's own tool takes, beside the project's files; nobody is asked, and no key is needed."""
        return lower(spec, self._options, self._region or _USUAL_REGION).artifacts()

    def find(self, bot: str) -> Deployment | None:
        return self._deployment(bot, self._look(bot))

    def _deployment(self, bot: str, seen: Seen) -> Deployment | None:
        places = self._cloud().places
        if seen.agent is None:
            return self._left(bot, seen, places.agent(self._agent(bot))) if seen.book else None
        live, url = seen.live, places.agent(seen.agent.name)
        if live is None:
            # Somebody deployed another image under the same name.
            return Deployment(self.name, bot, seen.agent.desired_deployment_id[:7], "webrtc", url)
        return Deployment(self.name, bot, live.release, live.transport, url, _stamp(live.created))

    def _left(self, bot: str, seen: Seen, url: str) -> Deployment:
        """Of an `up` or a `down` that was cut off there is still what can be taken away."""
        last = next(iter(seen.entries), None)
        if last is None:
            return Deployment(self.name, bot, "", "webrtc", url)
        return Deployment(self.name, bot, last.release, last.transport, url, _stamp(last.created))

    def deployments(self) -> list[Deployment]:
        api = self._cloud()
        names = sorted(found.name for found in api.secrets.list())
        ours = (name.removesuffix(book("")) for name in names if name.endswith(book("")))
        found = (self._deployment(name, look(api, name)) for name in ours)
        return [deployment for deployment in found if deployment]

    def status(self, have: Deployment) -> Status:
        seen, agent = self._of(have.bot), self._of(have.bot).agent
        if agent is None:
            return Status(have, "stopped", _NO_AGENT)
        health = agent.current_revision.health
        why = ", ".join(filter(None, (health.reason, health.message)))
        goes_on = "; the release before goes on" if agent.available else ""
        state: State = "running" if agent.live else "failed" if agent.failed and not agent.available else "starting"
        reason = (
            f"{have.release} failed: {why}{goes_on}" if agent.failed else "" if agent.live else "it is being deployed"
        )
        if agent.failed and agent.available:
            state = "running"
        if not reason and seen.stale:
            reason = f"{seen.stale} agents of the release before still take new calls"
        if not reason and seen.changed:
            reason = "secrets were set since: `voicedeploy up` brings them to the agents"
        sessions = self._cloud().agent(agent.name).sessions.list("active", most=100)
        older: dict[str, int] = {}
        for session in sessions:
            if session.deployment_id != agent.desired_deployment_id:
                older[session.deployment_id[:7]] = older.get(session.deployment_id[:7], 0) + 1
        mine = len(sessions) - sum(older.values())
        warm = max(0, agent.current_revision.ready_replicas - mine)
        draining = tuple(Draining(release, count) for release, count in sorted(older.items()))
        return Status(have, state, reason, mine, agent.auto_scaling.max_replicas, warm, draining)

    def releases(self, have: Deployment) -> list[Release]:
        seen = self._of(have.bot)
        found = []
        for entry in seen.entries:
            if entry.hash in seen.builds:
                state: ReleaseState = "live" if entry == seen.live else "kept"
                found.append(Release(entry.release, state, _stamp(entry.created), entry.transport))
        return found

    def door(self, have: Deployment) -> Door:
        public = self._cloud().public_key
        if public is None:
            raise NoKey("no public key for Pipecat Cloud: calls need one", hint=_PUBLIC)
        agent = self._look(have.bot).agent
        transport = Transport(have.transport)
        return Door(
            have.url,
            key=public.bare,
            page=False,
            way=way(self._options, self._cloud().places, agent, transport) if agent else _nobody(transport),
        )

    def logs(self, have: Deployment, *, follow: bool, lines: int, session: str) -> Iterator[str]:
        logs = self._cloud().agent(self._agent(have.bot)).logs
        last = logs.last(lines, session=session)
        yield from (line.log for line in last)
        if follow:
            seen = {(line.timestamp, line.log) for line in last}
            following = logs.follow(session=session, since=last[-1].timestamp if last else "")
            yield from (line.log for line in following if (line.timestamp, line.log) not in seen)

    def secrets(self, bot: str) -> Secrets:
        return AgentSecrets(self._cloud, self._agent(bot), self._where)

    # --- changing -----------------------------------------------------------------------------------

    def target(self) -> Target:
        return Platform(self._cloud(), self._where(), self._context)

    def _context(self) -> Context:
        assert self._lowered
        return self._lowered.context()

    @contextmanager
    def _held(self, bot: str, why: str) -> Iterator[None]:
        """The platform has nothing to hold: two laptops at once make two deployments, of which the later one stays."""
        if bot in self._holding:
            raise Locked(f"{bot} is being changed by this very program: {self._holding[bot]}", hint="wait for it")
        self._holding[bot] = why
        try:
            yield
        finally:
            del self._holding[bot]

    def lock(self, bot: str, why: str) -> AbstractContextManager[None]:
        return self._held(bot, why)

    def plan(self, want: Spec | None, have: Deployment | None) -> Plan:
        if want is None:
            return self._take_down(have) if have else Plan(self.name, "", None, None)
        seen = self._of(want.bot.name)
        lowered = self._lowered = lower(want, self._options, self._where())
        context, transport = lowered.context(), want.transport.kind.value
        there = next((entry for entry in seen.entries if entry.hash == context.hash), None)
        if there is not None and there.transport != transport:
            there = None
        entry = there or Entry.new(context.hash, transport, seen.entries)
        steps = [
            *self._stored(lowered, seen),
            *self._image(want, context, seen),
            *([] if there else [_note(lowered.agent, entry)]),
            *self._deploy(lowered, entry, seen),
            *self._forget(lowered.agent, entry, seen),
        ]
        proved = not in_room(want.transport.kind)
        before = seen.live.release if seen.live else have.release if have else None
        return Plan(self.name, want.bot.name, before, entry.release, tuple(steps), verify=bool(steps) and proved)

    def _stored(self, lowered: Lowered, seen: Seen) -> list[Step]:
        if seen.secrets is None or seen.secrets.status == "ready" or not lowered.recipe.secret_set:
            return []
        stored = Call("GET", f"{SECRETS}/{lowered.recipe.secret_set}", wait_s=_STORED_S)
        return [Step("✓", "secrets", "stored by the platform", stored)]

    def _image(self, spec: Spec, context: Context, seen: Seen) -> list[Step]:
        if context.hash in seen.builds or self._cloud().builds.made(context.hash, self._where()):
            return []
        action = Upload(spec.root, project.files(spec.root), f"{BUILDS}/{context.hash}")
        return [Step("+", "image", f"{context.hash[:7]}, {context.told}", action)]

    def _deploy(self, lowered: Lowered, entry: Entry, seen: Seen) -> list[Step]:
        """As little as makes it so, and by force where the platform would keep the agents that run."""
        agent, recipe, wanted = seen.agent, lowered.recipe, lowered.wanted
        asked = {key: value for key, value in asdict(wanted).items() if value not in ("", None)}
        body: dict[str, Any] = {"context": entry.hash, **asked}
        count = f"{recipe.min_agents} to {recipe.max_agents} × {recipe.profile} in {recipe.region}"
        ready = Step(
            "✓", "ready", f"{entry.release} takes calls", Call("GET", f"{AGENTS}/{recipe.agent}", wait_s=_LIVE_S)
        )
        if agent is None:
            made = Call("POST", AGENTS, body={"agent": recipe.agent, **body})
            return [Step("+", "agent", f"{recipe.agent}, {count}", made, commits=True), ready]
        spec, live = agent.deployment.spec, seen.live
        replaces = (
            live is None
            or live.hash != entry.hash
            or agent.agent_profile != recipe.profile
            or spec.max_session_duration_seconds != recipe.max_session_s
            or (recipe.secret_set and spec.env_from_secret_names != (recipe.secret_set,))
        )
        forced = not replaces and (seen.changed or agent.failed)
        scaled = (agent.auto_scaling.min_replicas, agent.auto_scaling.max_replicas) != (
            recipe.min_agents,
            recipe.max_agents,
        )
        there = f"{AGENTS}/{recipe.agent}"
        if replaces or forced:
            why = ", with the secrets as they are now" if seen.changed else ", once more" if forced else ""
            change = Call("POST", there, body={**body, **({"force": True} if forced else {})})
            return [Step("~", "agent", f"{entry.release} for new calls, {count}{why}", change, commits=True), ready]
        if scaled:
            return [Step("~", "agent", count, Call("POST", there, body=body), commits=True)]
        return [] if agent.live and not seen.stale else [ready]

    def _forget(self, agent: str, entry: Entry, seen: Seen) -> list[Step]:
        """What is done, and releases that nobody goes back to."""
        gone = [CHANGED] if seen.changed else []
        older = dict.fromkeys(e.hash for e in seen.entries if e.hash != entry.hash)
        kept = [*older][: self._options.keep]
        gone += [e.key for e in seen.entries if e != entry and e.hash not in kept]
        if not gone:
            return []
        paths = tuple(f"{SECRETS}/{book(agent)}/{key}" for key in gone)
        return [Step("-", "record", f"{len(gone)} notes that are done with", Remove(paths), commits=True)]

    def back(self, have: Deployment, release: str) -> Plan:
        seen, agent = self._of(have.bot), self._agent(have.bot)
        others = [e for e in seen.entries if e != seen.live and e.hash in seen.builds]
        found = next((e for e in others if not release or e.release == release), None)
        if found is None and release in ("", have.release):
            if release:
                return Plan(self.name, have.bot, release, release)
            raise NotReady(f"no release of {have.bot} was there before {have.release}", hint="`voicedeploy releases`")
        if found is None:
            raise UsageError(f"the platform has no release {release} of it", hint="`voicedeploy releases` shows which")
        steps = (
            Step(
                "~",
                "agent",
                f"{found.release} for new calls",
                Call("POST", f"{AGENTS}/{agent}", body={"context": found.hash}),
                commits=True,
            ),
            Step("✓", "ready", f"{found.release} takes calls", Call("GET", f"{AGENTS}/{agent}", wait_s=_LIVE_S)),
        )
        return Plan(
            self.name, have.bot, have.release, found.release, steps, verify=not in_room(Transport(found.transport))
        )

    def _take_down(self, have: Deployment) -> Plan:
        seen, agent = self._of(have.bot), self._agent(have.bot)
        calls = seen.agent.active_session_count if seen.agent else 0
        ends = f"; {calls} calls end in their own time" if calls else ""
        gone = Remove((f"{AGENTS}/{agent}",))
        notes = Remove((f"{SECRETS}/{secret_set(agent)}", f"{SECRETS}/{book(agent)}"))
        steps = (
            Step("-", "agent", f"{agent}{ends}", gone, commits=True),
            Step("-", "secrets", f"of {agent}, and the record", notes, commits=True),
        )
        return Plan(self.name, have.bot, have.release, None, steps)


_PUBLIC = "make one at pipecat.daily.co → Settings → API keys, then set PIPECAT_CLOUD_PUBLIC_KEY"


_NO_AGENT = "there is no agent: `voicedeploy up` makes it, `voicedeploy down` takes away what is left"


def _nobody(transport: Transport) -> Way:
    return Way(transport.value, closed="there is no agent that could be called", hint="`voicedeploy up` makes it")


def _note(agent: str, entry: Entry) -> Step:
    return Step("+", "record", entry.release, Write(f"{SECRETS}/{book(agent)}/{entry.key}", b"1"))


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
