"""This machine: no keys, no Docker. The front runs in the background, the bot in an environment of its own."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, ClassVar, Self

import tomli_w

from voicedeploy import project
from voicedeploy.deployment import Deployment, Draining, Release, ReleaseState, Status, state_of
from voicedeploy.errors import NotReady, UsageError
from voicedeploy.front import Seat, config
from voicedeploy.network import NoUdp, Offer, OpenUdp
from voicedeploy.plan import Call, Door, Plan, Prove, Remove, Start, Step, Stop, Target, Upload, Write
from voicedeploy.provider import Finding, Secrets
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec
from voicedeploy.transports import proved
from voicedeploy_providers.local import checks, environment, journal
from voicedeploy_providers.local.fronts import Front, front, fronts
from voicedeploy_providers.local.lock import held
from voicedeploy_providers.local.machine import Machine
from voicedeploy_providers.local.options import Options
from voicedeploy_providers.local.places import Places, state_home
from voicedeploy_providers.local.secrets import SecretsFile, new_key, read_key

KEPT = 3
"""Releases, the live one among them: what there is to go back to."""
READY_S = 60.0
"""A bot with its models cold on disk was seen to take 15 s."""


class Local:
    name: ClassVar[str] = "local"
    summary: ClassVar[str] = "this machine: no keys, no Docker"

    def __init__(self, options: Options) -> None:
        self._options = options

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> Self:
        return cls(Options.parse(options, cls.name))

    def parts(self) -> list[Self]:
        return [self]

    @property
    def where(self) -> str:
        return self.name

    def offer(self, spec: Spec, *, closely: bool) -> Offer:
        ports = self._options.ports(spec.pool.max)
        if not ports:
            return Offer(NoUdp("the range of ports is empty"))
        return Offer(OpenUdp(f"{ports[0]}-{ports[-1]}", "nat" if self._options.public_ip else "lan"))

    def check(self, spec: Spec) -> list[Finding]:
        ours = any(f.public for f in fronts(Places.of(spec.bot.name)))
        return checks.findings(spec, self._options, ours)

    def render(self, spec: Spec) -> list[Artifact]:
        return [Artifact("front.toml", self._config(spec, self._release(spec), ()))]

    def find(self, bot: str) -> Deployment | None:
        try:
            record = tomllib.loads(Places.of(bot).record.read_text("utf-8"))
        except (FileNotFoundError, tomllib.TOMLDecodeError):
            return None
        return Deployment.from_labels(record)

    def deployments(self) -> list[Deployment]:
        home = state_home()
        names = sorted(p.name for p in home.iterdir() if p.is_dir()) if home.is_dir() else []
        return [found for name in names if (found := self.find(name))]

    def target(self) -> Target:
        return Machine()

    def lock(self, bot: str, why: str) -> AbstractContextManager[None]:
        return held(Places.of(bot).lock, why)

    def secrets(self, bot: str) -> Secrets:
        return SecretsFile(Places.of(bot))

    def door(self, have: Deployment) -> Door:
        return Door(have.url, key=read_key(Places.of(have.bot).key))

    def logs(self, have: Deployment, *, follow: bool, lines: int, session: str) -> Iterator[str]:
        return journal.read(Places.of(have.bot), have.release, follow=follow, lines=lines, session=session)

    def status(self, have: Deployment) -> Status:
        places = Places.of(have.bot)
        now = front(places, have.release)
        draining = tuple(
            Draining(f.release, f.sessions) for f in fronts(places) if f.release != have.release and f.draining
        )
        if now is None:
            return Status(have, "stopped", "the front does not run; `voicedeploy up` starts it", draining=draining)
        return Status(
            have,
            state_of(ready=now.ready, draining=now.draining, reason=now.reason),
            "" if now.ready else now.reason,
            now.sessions,
            now.slots,
            now.warm,
            draining,
        )

    # --- plans -------------------------------------------------------------------------------------

    def plan(self, want: Spec | None, have: Deployment | None) -> Plan:
        if want is None:
            return self._take_down(have) if have else Plan(self.name, "", None, None)
        places = Places.of(want.bot.name)
        release = self._release(want)
        running = fronts(places)
        current = next((f for f in running if f.release == release), None)
        if have is not None and have.release == release and current and current.ready and current.public:
            return Plan(self.name, want.bot.name, release, release)
        text = self._config(want, release, _peers(running, release))
        detail = f"{self._options.host}:{self._options.port}, {want.pool.max} slots, {want.pool.min} warm"
        record = Deployment(self.name, want.bot.name, release, want.transport.kind.value, self._url(), _now())
        steps = [
            *self._provision(want, release, places),
            *self._front(places, release, text, detail, current, proved(record.transport)),
            *self._switch(places, record, running),
        ]
        return Plan(self.name, want.bot.name, have.release if have else None, release, tuple(steps), asks=False)

    def back(self, have: Deployment, release: str) -> Plan:
        places = Places.of(have.bot)
        wanted = release or next((r.id for r in self.releases(have) if r.was_live and r.id != have.release), "")
        if not wanted:
            raise NotReady(f"no release of {have.bot} was live before {have.release}", hint="`voicedeploy releases`")
        if not places.config(wanted).exists():
            raise UsageError(f"there is no release {wanted} here", hint="`voicedeploy releases` shows which there are")
        running = fronts(places)
        current = next((f for f in running if f.release == wanted), None)
        if have.release == wanted and current and current.ready and current.public:
            return Plan(self.name, have.bot, wanted, wanted)
        config = tomllib.loads(places.config(wanted).read_text("utf-8"))
        text = tomli_w.dumps({**config, "peers": list(_peers(running, wanted))})
        listen = config["listen"]
        record = replace(have, release=wanted, transport=config["transport"]["kind"], created_at=_now())
        steps = [
            *self._front(places, wanted, text, f"{listen['host']}:{listen['port']}", current, proved(record.transport)),
            *self._switch(places, record, running),
        ]
        return Plan(self.name, have.bot, have.release, wanted, tuple(steps), asks=False)

    def releases(self, have: Deployment) -> list[Release]:
        places = Places.of(have.bot)
        running = {f.release: f for f in fronts(places)}
        found = []
        for release in reversed(places.releases()):
            now = running.get(release)
            state: ReleaseState = "live" if release == have.release else "draining" if now else "kept"
            created_at, kind = _about(places, release)
            was_live = places.was_live(release).exists()
            found.append(Release(release, state, created_at, kind, now.sessions if now else 0, was_live))
        return found

    def _release(self, spec: Spec) -> str:
        settings = json.dumps(
            [spec.model_dump(mode="json", exclude={"provider"}), self._options.model_dump(mode="json")],
            sort_keys=True,
        )
        secrets = SecretsFile(Places.of(spec.bot.name)).digest()
        return project.release(spec.root, project.files(spec.root), settings, secrets)

    def _provision(self, spec: Spec, release: str, places: Places) -> list[Step]:
        steps = []
        if not read_key(places.key):
            steps.append(
                Step("+", "key", "made for this bot", Write(str(places.key), new_key().encode(), 0o600, secret=True))
            )
        if not places.release(release).exists():
            names = project.files(spec.root)
            upload = Upload(spec.root, names, str(places.release(release)))
            steps.append(Step("+", "release", f"{release}, {len(names)} files", upload))
        return steps + environment.steps(spec, places, release)

    def _front(
        self, places: Places, release: str, text: str, detail: str, current: Front | None, proof: str
    ) -> list[Step]:
        path = places.config(release)
        stop = Stop(str(places.pid_file(release)))
        socket = str(places.socket(release))
        steps = []
        if current is None or not (current.ready or current.draining):
            if current is not None:
                steps.append(Step("-", "front", f"{release} is {current.reason or 'not ready'}", stop))
            steps.append(Step("+", "settings", path.name, Write(str(path), text.encode(), 0o600)))
            steps.append(
                Step(
                    "+",
                    "front",
                    detail,
                    Start(
                        (*environment.voicedeploy(), "serve", "--config", str(path)),
                        log=str(places.output(release)),
                        pid_file=str(places.pid_file(release)),
                    ),
                    undo=stop,
                )
            )
        if current is None or not current.draining:
            ready = Call("GET", "http://front/readyz", socket, wait_s=READY_S, log=str(places.log(release)))
            steps.append(Step("✓", "ready", "the bot is loaded", ready))
            steps.append(Step("✓", proof, "one real call", Prove(Door(self._url(), socket))))
        return steps

    def _switch(self, places: Places, record: Deployment, running: list[Front]) -> list[Step]:
        release = record.release
        text = "# Written by voicedeploy: what is live.\n" + tomli_w.dumps(record.labels())
        others = [f for f in running if f.release != release]
        opening = Call("POST", "http://front/open", str(places.socket(release)))
        steps = [
            Step("~", "traffic", f"new calls to {release}", opening, commits=True),
            Step("+", "record", places.record.name, Write(str(places.record), text.encode())),
            Step("+", "history", release, Write(str(places.was_live(release)), b"")),
        ]
        for old in others:
            if old.public or not old.draining:
                calls = f"{old.sessions} calls end in their own time" if old.sessions else "no calls"
                drain = Call("POST", "http://front/drain", old.socket, {"release_port": True})
                steps.append(Step("-", "release", f"{old.release}, {calls}", drain))
        ended = [r for r in places.releases() if r != release and r not in {f.release for f in others}]
        gone = ended[: max(0, len(ended) - (KEPT - 1))]
        if gone:
            paths = tuple(str(p) for r in gone for p in (places.release(r), places.run(r)))
            steps.append(Step("-", "files", f"of {len(gone)} older releases", Remove(paths)))
        return steps

    def _take_down(self, have: Deployment) -> Plan:
        places = Places.of(have.bot)
        steps = []
        for f in fronts(places):
            calls = f"{f.sessions} calls end in their own time" if f.sessions else "no calls"
            grace = f.max_duration_s + 90.0 if f.sessions else 15.0
            steps.append(Step("-", "front", f"{f.release}, {calls}", Stop(str(places.pid_file(f.release)), grace)))
        steps.append(Step("-", "files", str(places.root), Remove((str(places.root),))))
        return Plan(self.name, have.bot, have.release, None, tuple(steps))

    def _config(self, spec: Spec, release: str, peers: tuple[str, ...]) -> str:
        places = Places.of(spec.bot.name)
        ports = self._options.ports(spec.pool.max)
        seat = Seat(
            project=str(places.release(release)),
            python=str(environment.python(spec, places)),
            secrets=str(places.secrets),
            key=str(places.key),
            socket=str(places.socket(release)),
            host=self._options.host,
            port=self._options.port,
            udp_ports=f"{ports[0]}-{ports[-1]}" if ports and spec.receives_media else "",
            public_ip=self._options.public_ip,
            nets=self._options.nets,
            log=str(places.log(release)),
            peers=peers,
            open_on_loopback=True,
        )
        return config(spec, release, seat)

    def _url(self) -> str:
        host = self._options.host
        local = ip_address(host).is_loopback or ip_address(host).is_unspecified
        return f"http://{'localhost' if local else host}:{self._options.port}/"


def _peers(running: list[Front], release: str) -> tuple[str, ...]:
    return tuple(f.socket for f in running if f.release != release)


def _about(places: Places, release: str) -> tuple[str, str]:
    """When it was made, and its transport."""
    path = places.config(release)
    try:
        kind = str(tomllib.loads(path.read_text("utf-8"))["transport"]["kind"])
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except (OSError, ValueError, KeyError):
        return "", ""
    return made, kind


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
