"""Fly.io by its Machines API: generations of machines, no flyctl, and no call is cut by a deploy."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from voicedeploy import project
from voicedeploy.deployment import Deployment, Draining, Release, ReleaseState, State, Status
from voicedeploy.errors import Locked, NotReady, UsageError
from voicedeploy.image import Recipe, Reference
from voicedeploy.image.build import default_base
from voicedeploy.image.dockerfile import dockerfile
from voicedeploy.network import Offer
from voicedeploy.plan import Door, Plan, Publish, Remove, Step, Stop, Target
from voicedeploy.provider import Finding, Secrets
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec
from voicedeploy.transports import proved
from voicedeploy_providers.fly import checks, inside, leases, releasing, udp
from voicedeploy_providers.fly.api import Fly as Api
from voicedeploy_providers.fly.api import Machine, Unanswered
from voicedeploy_providers.fly.generation import KEY, LIVE, OURS, OWN, PORT, Generation, generation
from voicedeploy_providers.fly.options import Options
from voicedeploy_providers.fly.releasing import api
from voicedeploy_providers.fly.secrets import AppSecrets
from voicedeploy_providers.fly.seen import Seen, look, released
from voicedeploy_providers.fly.sizes import ADDRESS_USD_PER_DAY, SIZES, STOPPED_USD_PER_DAY
from voicedeploy_providers.fly.target import MACHINE, Platform


class Fly:
    name: ClassVar[str] = "fly"
    summary: ClassVar[str] = "Fly.io by its API: needs only a token; deploys cut no call"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._api: Api | None = None
        self._seen: dict[str, Seen] = {}
        self._target: Platform | None = None
        self._want: Spec | None = None
        self._holding: dict[str, str] = {}
        self._nonces: dict[str, str] = {}

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> Self:
        return cls(Options.parse(options, cls.name))

    def parts(self) -> list[Self]:
        return [self]

    @property
    def where(self) -> str:
        return f"fly {self._options.app}".rstrip()

    # --- looking ------------------------------------------------------------------------------------

    def _fly(self) -> Api:
        if self._api is None:
            self._api = Api.from_env()
        return self._api

    def close(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None

    def _app(self, bot: str) -> str:
        return self._options.app or bot

    def _url(self, bot: str) -> str:
        return self._fly().places.url(self._app(bot))

    def _look(self, bot: str) -> Seen:
        self._seen[bot] = look(self._fly(), self._app(bot), bot, self._nonces)
        return self._seen[bot]

    def _of(self, bot: str) -> Seen:
        return self._seen.get(bot) or self._look(bot)

    def _generation(self, spec: Spec) -> Generation:
        bot = spec.bot.name
        return generation(spec, self._options, self._app(bot), self._url(bot))

    def offer(self, spec: Spec, *, closely: bool) -> Offer:
        return udp.offer(spec, self._options)

    def check(self, spec: Spec) -> list[Finding]:
        try:
            names = self.secrets(spec.bot.name).names()
            regions = self._fly().platform.regions()
        except Unanswered as error:
            # Nothing has been begun.
            raise NotReady(error.message, hint="the network from here, or status.flyio.net; then again") from error
        return checks.findings(spec, self._options, self._generation(spec), regions, names)

    def render(self, spec: Spec) -> list[Artifact]:
        """The front's file, the first machine's configuration, and the image as a Dockerfile; nobody is asked, and
        no token is needed."""
        app = self._options.app or spec.bot.name
        made = generation(spec, self._options, app, f"https://{app}.fly.dev")
        release = made.release(())
        record = Deployment(self.name, spec.bot.name, release, spec.transport.kind.value, made.url)
        (ports,) = udp.free((), 1, made.slots) if made.udp else ("",)
        config = made.config(record, self._options.image or f"registry.fly.io/{app}:{release}", ports).wire()
        config["files"] = [{"guest_path": file["guest_path"], "from": "front.toml"} for file in config["files"]]
        return [
            Artifact("front.toml", made.front(release, ports), 0o600),
            Artifact("machine.json", json.dumps(config, indent=2) + "\n"),
            *dockerfile(spec, self._options.base or str(default_base(spec)), PORT, self.name),
        ]

    def find(self, bot: str) -> Deployment | None:
        return self._look(bot).deployment

    def deployments(self) -> list[Deployment]:
        fly, found = self._fly(), []
        for app in fly.apps.list(self._options.org):
            bots = {m.metadata.get(OURS, "") for m in fly.app(app.name).machines.list()} - {""}
            found += [d for bot in bots if (d := look(fly, app.name, bot, {}, closely=False).deployment)]
        return found

    def status(self, have: Deployment) -> Status:
        seen = self._of(have.bot)
        live = seen.live
        fronts = [seen.front(m) for m in live]
        others = {released(m) for m in seen.machines if m.state == "started"} - {have.release}
        draining = tuple(Draining(release, seen.sessions(release)) for release in sorted(others))
        cost = sum(self._cost(m.state == "started", m.config and m.config.guest) for m in seen.machines)
        cost += ADDRESS_USD_PER_DAY * sum(ip.kind == udp.KIND for ip in seen.ips)
        down = [m for m in live if m.state != "started"]
        reason = "; ".join(filter(None, (_trouble(m, seen) for m in live))) or ("" if live else _BEGUN)
        ready = any(front.ready for front in fronts)
        state: State = "stopped" if len(down) == len(live) else "running" if ready and not down else "starting"
        return Status(
            have, state, reason, sum(f.sessions for f in fronts), sum(f.slots for f in fronts),
            sum(f.warm for f in fronts), draining, cost_per_day=round(cost, 2),
        )  # fmt: skip

    def _cost(self, runs: bool, guest: Any) -> float:
        if not runs:
            return STOPPED_USD_PER_DAY
        sizes = (s for s in SIZES.values() if guest and (s.kind, s.cpus) == (guest.cpu_kind, guest.cpus))
        return next((size.usd_per_day for size in sizes), 0.0)

    def releases(self, have: Deployment) -> list[Release]:
        seen, found = self._of(have.bot), []
        for release in seen.releases:
            machines = seen.of(release)
            runs = any(m.state == "started" for m in machines)
            state: ReleaseState = "live" if release == have.release else "draining" if runs else "kept"
            about = machines[0].metadata
            made, transport = (about.get(f"voicedeploy-{key}", "") for key in ("created-at", "transport"))
            was_live = any(m.metadata.get(LIVE) for m in machines)
            found.append(Release(release, state, made, transport, seen.sessions(release), was_live))
        return found

    def door(self, have: Deployment) -> Door:
        """The key is a secret that Fly shows to nobody but the machines."""
        seen = self._of(have.bot)
        running = next((m for m in seen.live if m.state == "started"), None)
        if running is None:
            raise NotReady(f"no machine of {have.bot} runs", hint="`voicedeploy status`, then `voicedeploy up`")
        app, nonce = self._fly().app(self._app(have.bot)), self._nonces.get(running.id, "")
        return Door(have.url, key=inside.run(app, running.id, ("printenv", KEY), nonce=nonce).strip())

    def logs(self, have: Deployment, *, follow: bool, lines: int, session: str) -> Iterator[str]:
        logs = self._fly().app(self._app(have.bot)).logs
        page = logs.so_far()
        wanted = [line.message for line in page.lines if session in line.message]
        yield from wanted[len(wanted) - lines if lines < len(wanted) else 0 :]
        if follow:
            later = logs.follow(after=page.next_token)
            yield from (line.message for line in later if session in line.message)

    def secrets(self, bot: str) -> Secrets:
        return AppSecrets(self._fly, self._app(bot), self._options.org)

    # --- changing -----------------------------------------------------------------------------------

    def target(self) -> Target:
        if self._target is None:
            bot = self._want.bot.name if self._want else ""
            self._target = Platform(self._fly(), self._app(bot), self._nonces, self._recipe)
        return self._target

    def _recipe(self, action: Publish) -> Recipe:
        assert self._want
        return Recipe(self._want, action.to.rpartition(":")[2], "", PORT, Reference.parse(action.base))

    @contextmanager
    def _held(self, bot: str, why: str) -> Iterator[None]:
        """A lease on one machine of the bot: whoever wants to change the bot wants that one.

        Before there is a machine, Fly has nothing to hold: the first one that is made is held as soon as it is there.
        Of two who begin at once one makes the app, or else the machine of a name. With two releases there are two
        generations, of which the next `up` retires one.
        """
        if bot in self._holding:
            raise Locked(f"{bot} is being changed by this very program: {self._holding[bot]}", hint="wait for it")
        fly, app = self._fly(), self._app(bot)
        with ExitStack() as stack:

            def take(machine: str) -> None:
                if not self._nonces:
                    self._nonces[machine] = stack.enter_context(leases.held(fly.app(app), machine, why))
                    stack.callback(self._nonces.pop, machine)

            self._target = Platform(fly, app, self._nonces, self._recipe, take)
            self._holding[bot] = why
            stack.callback(self._holding.pop, bot)
            if fly.apps.get(app) is not None:
                # The oldest, so that machines which are made meanwhile do not make another lock.
                machines = sorted(fly.app(app).machines.list({OURS: bot}), key=lambda m: (m.created_at, m.id))
                if machines:
                    take(machines[0].id)
            yield

    def lock(self, bot: str, why: str) -> AbstractContextManager[None]:
        return self._held(bot, why)

    def plan(self, want: Spec | None, have: Deployment | None) -> Plan:
        if want is None:
            return self._take_down(have) if have else Plan(self.name, "", None, None)
        self._want = want
        bot, made, seen = want.bot.name, self._generation(want), self._of(want.bot.name)
        app = made.app
        release = made.release(tuple(f"{s.name}:{s.digest}" for s in seen.secrets if s.name not in OWN))
        live = next((released(m) for m in seen.live), None)
        there = seen.of(release)
        whole = len(there) == made.count and all(seen.front(m).ready and m.metadata.get(LIVE) == "1" for m in there)
        retire, prune = releasing.retire(app, release, seen), releasing.prune(app, release, seen, self._options.keep)
        udp.require(there, seen.ips)
        if whole and not retire and not prune:
            return Plan(self.name, bot, release, release)
        record = Deployment(self.name, bot, release, want.transport.kind.value, made.url, _now())
        steps = [
            *releasing.app(app, self._options.org, seen, dedicated=made.udp),
            *self._image(made, release, seen),
            *(releasing.secrets(app, release, seen) if len(there) < made.count else ()),
            *releasing.machines(made, record, self._image_name(app, release), self._regions(), seen),
            *releasing.start(app, made.names(release), seen, proved(record.transport)),
            *releasing.traffic(app, made.names(release), seen),
            *retire,
            *prune,
        ]
        return Plan(self.name, bot, live, release, tuple(steps), verify=True)

    def _image_name(self, app: str, release: str) -> str:
        return self._options.image or f"{self._fly().places.registry_host}/{app}:{release}"

    def _image(self, made: Generation, release: str, seen: Seen) -> list[Step]:
        if self._options.image or len(seen.of(release)) == made.count:
            return []
        spec = made.spec
        files = project.files(spec.root)
        base = self._options.base or str(default_base(spec))
        action = Publish(self._image_name(made.app, release), base, spec.root, files)
        return [Step("+", "image", f"{release}, {len(files)} files", action)]

    def _regions(self) -> tuple[str, ...]:
        return self._options.region or (self._fly().platform.regions().nearest,)

    def back(self, have: Deployment, release: str) -> Plan:
        seen, app = self._of(have.bot), self._app(have.bot)
        was_live = [r for r in seen.releases if r != have.release and any(m.metadata.get(LIVE) for m in seen.of(r))]
        wanted = release or next(iter(was_live), "")
        if not wanted:
            raise NotReady(f"no release of {have.bot} was live before {have.release}", hint="`voicedeploy releases`")
        if not seen.of(wanted):
            raise UsageError(f"Fly has no release {wanted} of it", hint="`voicedeploy releases` shows which it has")
        if wanted == have.release:
            return Plan(self.name, have.bot, wanted, wanted)
        udp.require(seen.of(wanted), seen.ips)
        names = tuple(m.name for m in seen.of(wanted))
        steps = [
            *releasing.start(app, names, seen, proved(have.transport)),
            *releasing.traffic(app, names, seen),
            *releasing.retire(app, wanted, seen),
        ]
        return Plan(self.name, have.bot, have.release, wanted, tuple(steps), verify=True)

    def _take_down(self, have: Deployment) -> Plan:
        seen, app = self._of(have.bot), self._app(have.bot)
        steps = []
        for one in seen.machines:
            busy = seen.front(one).sessions
            calls = f", {busy} calls end in their own time" if busy else ""
            grace_s = 3600.0 * 24 if busy else 5.0
            steps.append(Step("-", "machine", f"{one.name}{calls}", Stop(f"{MACHINE}{one.name}", grace_s)))
        steps += releasing.addresses(app, seen)
        steps.append(Step("-", "app", f"{app}, with its addresses and secrets", Remove((api(app),)), commits=True))
        return Plan(self.name, have.bot, have.release, None, tuple(steps))


_BEGUN = "an `up` did not come to its end: `voicedeploy up` finishes it, `voicedeploy down` takes it away"


def _trouble(machine: Machine, seen: Seen) -> str:
    """What is to be known of a machine that should serve."""
    if machine.host_status == "unreachable":
        return f"Fly does not reach the host of {machine.name}"
    if machine.state != "started":
        return f"{machine.name} is {machine.state}"
    if machine.id in seen.changing:
        return f"{machine.name} is being changed, and cannot be asked meanwhile"
    if gone := udp.lost(machine, seen.ips):
        return f"{machine.name} tells callers {gone}, which the app does not have any more"
    crashed = [event for event in machine.events if event.exit_code]
    if not crashed:
        return ""
    last = datetime.fromtimestamp(max(e.timestamp for e in crashed) / 1000, UTC).isoformat(timespec="seconds")
    return f"{machine.name} crashed {len(crashed)} times, last at {last}, and was started again"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
