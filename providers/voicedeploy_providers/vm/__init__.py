"""A single VM or a homelab over SSH: no Docker, and no call is cut by a deploy."""

import getpass
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any, ClassVar, Self

from voicedeploy import beside, environment, project
from voicedeploy.deployment import Deployment, Draining, Release, ReleaseState, Status, state_of
from voicedeploy.errors import NotReady, UsageError
from voicedeploy.network import DialsOut, NoUdp, Offer, need
from voicedeploy.plan import Door, Plan, Remove, Step, Stop, Target
from voicedeploy.provider import Finding, Secrets
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec
from voicedeploy.transports import proved
from voicedeploy_providers.vm import checks, coturn, facts, journal, packets, relays, releasing, setup
from voicedeploy_providers.vm.entrance import Entrance, entrance, site, spare_streams
from voicedeploy_providers.vm.facts import Facts, Ports
from voicedeploy_providers.vm.machine import Machine
from voicedeploy_providers.vm.network.looking import Mapped
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.places import ROOT, SOCKETS, Places
from voicedeploy_providers.vm.ports import FIRST_TCP, FIRST_UDP, allot
from voicedeploy_providers.vm.secrets import HostSecrets
from voicedeploy_providers.vm.ssh import Shell, connect, route

_AFTER_S = 120
"""How much longer than the longest call a stream may live when Caddy reads its files again."""
_CADDY_CA = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"


class Vm:
    name: ClassVar[str] = "vm"
    summary: ClassVar[str] = "a single VM or a homelab over SSH: no Docker, and deploys cut no call"

    def __init__(self, options: Options, hosts: tuple[str, ...] = ()) -> None:
        """`hosts`: all that share the options, where this is one of several."""
        self._options = options
        self._hosts = hosts or options.host
        self._connected: Shell | None = None
        self._seen: Facts | None = None
        self._machine: Machine | None = None
        self._packets: packets.Packets | None = None

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> Self:
        return cls(Options.parse(options, cls.name))

    def parts(self) -> list[Self]:
        """One for each host, in the order in which they get a release."""
        hosts = self._options.host
        return (
            [type(self)(self._options.model_copy(update={"host": (h,)}), hosts) for h in hosts]
            if len(hosts) > 1
            else [self]
        )

    @property
    def where(self) -> str:
        return f"vm {self.host}"

    @property
    def host(self) -> str:
        if not self._options.host:
            raise UsageError(
                "which host?", hint='--host homelab, or [provider.vm] host = "homelab" in voicedeploy.toml'
            )
        return self._options.host[0]

    # --- looking ------------------------------------------------------------------------------------

    def _shell(self) -> Shell:
        if self._connected is None:
            self._connected = Shell(connect(route(self.host)))
        return self._connected

    def close(self) -> None:
        """Ends the connection, where there is one."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _look(self) -> Facts:
        self._seen = facts.parse(self._shell().run(facts.SCRIPT).out)
        return self._seen

    @property
    def _facts(self) -> Facts:
        return self._seen or self._look()

    def offer(self, spec: Spec, *, closely: bool) -> Offer:
        mine = self._mine(spec)
        seen = self._facts
        known = mine.addresses == seen.addresses and seen.front(spec.bot.name, seen.of(spec.bot.name).live)
        self._packets = None
        if not spec.receives_media:
            return Offer(NoUdp(f"no port is opened for `{spec.transport.kind}`, which asks for none"))
        if closely or not known:
            self._packets = packets.tried(self._shell(), spec, self._options, mine.udp, self._dialled())
        found = self._packets.offer() if self._packets else packets.remembered(mine)
        return replace(found, relay=self._options.turn)

    def check(self, spec: Spec) -> list[Finding]:
        found = [*(self._packets.findings() if self._packets else []), *self._one_name_for_several(spec)]
        names = self.secrets(spec.bot.name).names()
        tried = relays.tried(self._shell(), spec)
        mine = self._mine(spec)
        found += coturn.findings(self._facts, mine)
        return [*found, *checks.findings(spec, self._options, self._facts, mine, names, tried)]

    def _one_name_for_several(self, spec: Spec) -> list[Finding]:
        """A call begins by several requests, and only the host that took the first of them knows it."""
        if len(self._hosts) < 2 or not self._options.domain or isinstance(need(spec.transport.kind), DialsOut):
            return []
        return [
            Finding(
                "VD115",
                "warning",
                "callers",
                f"{self._options.domain} is the name of {len(self._hosts)} hosts, and each knows only its own calls: "
                "one whose second request reaches another host fails",
                "take out [provider.vm] domain: then each host has a name of its own; or keep each caller at one host",
            )
        ]

    def _mine(self, spec: Spec) -> Ports:
        """This bot's ports, with what was found out about the network around them."""
        media = spec.receives_media
        relay = self._entrance().host if media and self._options.turn else ""
        allotted = allot(spec.bot.name, spec.pool.max, self._options, self._facts, media=media)
        mine = replace(allotted, relay=relay)
        if self._packets is None:
            return mine
        best = self._packets.settings
        # What a closed firewall hid is looked at again next time.
        found_out = () if self._packets.opens else self._facts.addresses
        closed = self._packets.seen.mapped is Mapped.BLOCKED
        return replace(mine, public_ip=best.public_ip, nets=best.nets, addresses=found_out, tcp_only=closed)

    def _dialled(self) -> str:
        """The address that SSH reached, "" where it went by another host."""
        connection = self._shell().connection
        direct = not connection.route.jumps and not connection.route.proxy_command
        return str(connection.transport.getpeername()[0]) if direct else ""

    def render(self, spec: Spec) -> list[Artifact]:
        """As for a host with this bot alone and a name of its own; nobody is asked."""
        udp = self._options.udp_ports or f"{FIRST_UDP}-{FIRST_UDP + 2 * spec.pool.max - 1}"
        at = Entrance(self._options.domain or "talk.example.org", "acme", "its own domain")
        media = spec.receives_media
        relay = at.host if media and self._options.turn else ""
        mine = Ports(FIRST_TCP, udp if media else "", relay=relay)
        settings = releasing.settings(spec, self._options, mine)
        release = project.release(spec.root, project.files(spec.root), settings)
        own = coturn.texts(self._options.public_ip) if relay else {}
        text = site(spec.bot.name, at, self._options, facts.parse(""), mine.tcp, _delay(spec))
        return [
            Artifact(Places(spec.bot.name).unit(release), releasing.unit(spec, release, relay=bool(relay))),
            Artifact("front.toml", releasing.front_toml(spec, release, mine, self._options), 0o600),
            Artifact(f"{spec.bot.name}.caddy", text),
            *(Artifact(path.rpartition("/")[2], content) for path, content in own.items()),
        ]

    def find(self, bot: str) -> Deployment | None:
        return Deployment.from_labels(self._look().of(bot).record)

    def deployments(self) -> list[Deployment]:
        found = (Deployment.from_labels(bot.record) for bot in self._look().bots.values())
        return [deployment for deployment in found if deployment]

    def status(self, have: Deployment) -> Status:
        now = self._facts.front(have.bot, have.release)
        draining = tuple(
            Draining(front.release, front.sessions)
            for front in self._facts.fronts_of(have.bot)
            if front.release != have.release
        )
        free = self._facts.disk_free
        if now is None:
            why = "its unit does not run; `voicedeploy up` starts it, `voicedeploy logs` says why it ended"
            return Status(have, "stopped", why, draining=draining, disk_free=free)
        reason = "" if now.ready else now.reason
        return Status(
            have,
            state_of(ready=now.ready, draining=now.draining, reason=now.reason),
            reason,
            now.sessions,
            now.slots,
            now.warm,
            draining,
            disk_free=free,
        )

    def releases(self, have: Deployment) -> list[Release]:
        there, seen = self._facts.of(have.bot), self._facts
        found = []
        for release in sorted(there.releases, key=lambda r: r.created_at, reverse=True):
            front = seen.front(have.bot, release.id)
            state: ReleaseState = "live" if release.id == there.live else "draining" if front else "kept"
            calls = front.sessions if front else 0
            was_live = release.id in there.history
            found.append(Release(release.id, state, release.created_at, release.transport, calls, was_live))
        return found

    def door(self, have: Deployment) -> Door:
        said = self._shell().run(
            'cat "$1"; echo; echo =====; case "$2" in *"tls internal"*) cat "$3" 2>/dev/null;; esac; exit 0',
            args=(Places(have.bot) / "key", self._facts.of(have.bot).site, _CADDY_CA),
        )
        key, _, ca = said.out.partition("=====")
        return Door(have.url, key=key.strip(), ca=ca.strip())

    def logs(self, have: Deployment, *, follow: bool, lines: int, session: str) -> Iterator[str]:
        return journal.read(self._shell(), have.bot, follow=follow, lines=lines, session=session)

    def secrets(self, bot: str) -> Secrets:
        return HostSecrets(self._shell, Places(bot))

    # --- changing -----------------------------------------------------------------------------------

    def target(self) -> Target:
        if self._machine is None:
            self._machine = Machine(self._shell(), beside.identity())
        return self._machine

    @contextmanager
    def _held(self, bot: str, why: str) -> Iterator[None]:
        places, shell = Places(bot), self._shell()
        self._machine = machine = Machine(shell, beside.identity())
        with shell.hold(places / "lock", why):
            try:
                yield
            finally:
                if machine.audit:
                    who = json.dumps({"who": f"{getpass.getuser()}@{socket.gethostname()}", "why": why})[1:]
                    lines = "".join(f"{line[:-1]}, {who}\n" for line in machine.audit)
                    script = '[ ! -d "$1" ] || cat >> "$1/audit.log"'
                    shell.run(script, args=(places.root,), stdin=lines.encode(), check=False)

    def lock(self, bot: str, why: str) -> AbstractContextManager[None]:
        return self._held(bot, why)

    def plan(self, want: Spec | None, have: Deployment | None) -> Plan:
        if want is None:
            return self._take_down(have) if have else Plan(self.name, "", None, None)
        bot, seen = want.bot.name, self._facts
        release = self._release(want)
        mine = self._mine(want)
        at = self._entrance()
        places = Places(bot)
        now = seen.front(bot, release)
        text = site(bot, at, self._options, seen, mine.tcp, _delay(want))
        record = Deployment(self.name, bot, release, want.transport.kind.value, at.url, _now())
        media = want.receives_media
        before = setup.steps(bot, self._options, seen, mine, media=media)
        if mine.relay:
            before += coturn.steps(seen, self._options.public_ip or mine.public_ip, _new_key())
        after = [] if mine.relay else coturn.gone(seen, bot)
        if after:
            after += setup.close_relay(bot, seen)
        caddy = setup.site(places, seen, at, text)
        if caddy:
            spare_streams(seen)
        switch = releasing.switch(bot, release, record, seen)
        if not (before or caddy or switch or after) and now and now.ready:
            return Plan(self.name, bot, release, release)
        made = any(r.id == release and r.created_at for r in seen.of(bot).releases)
        files = [] if made and now else releasing.make(want, release, seen, mine, self._options, _new_key(), at.url)
        steps = [
            *before,
            *files,
            *releasing.start(bot, release, now, proved(record.transport)),
            *caddy,
            *switch,
            *after,
            *releasing.prune(bot, release, seen, self._options.keep, environment.digest(want)),
        ]
        return Plan(self.name, bot, have.release if have else None, release, tuple(steps), verify=True)

    def back(self, have: Deployment, release: str) -> Plan:
        """To a release that the host still holds; without a name to the last that was live before this one."""
        seen = self._facts
        there = seen.of(have.bot)
        wanted = release or releasing.last_good(there)
        known = {r.id: r for r in there.releases if r.created_at}
        if not wanted:
            raise NotReady(f"no release of {have.bot} was live before {have.release}", hint="`voicedeploy releases`")
        if wanted not in known:
            raise UsageError(f"the host has no release {wanted}", hint="`voicedeploy releases` shows which it has")
        now = seen.front(have.bot, wanted)
        old = known[wanted]
        record = replace(have, release=wanted, transport=old.transport or have.transport, created_at=_now())
        switch = releasing.switch(have.bot, wanted, record, seen)
        if not switch and now and now.ready:
            return Plan(self.name, have.bot, wanted, wanted)
        # A switch of the transport since then may have closed what that release needs.
        opening = setup.firewall(have.bot, seen, there.ports) if there.ports and old.receives_media else []
        steps = [
            *opening,
            *releasing.start(have.bot, wanted, now, proved(record.transport)),
            *switch,
        ]
        return Plan(self.name, have.bot, have.release, wanted, tuple(steps), verify=True)

    def _release(self, spec: Spec) -> str:
        version = self._facts.of(spec.bot.name).secrets_version
        text = releasing.settings(spec, self._options, self._mine(spec))
        return project.release(spec.root, project.files(spec.root), text, version)

    def _entrance(self) -> Entrance:
        return entrance(self._options, self._facts, self._dialled())

    def _take_down(self, have: Deployment) -> Plan:
        places, seen = Places(have.bot), self._facts
        there = seen.of(have.bot)
        last = set(seen.bots) <= {have.bot}
        steps = []
        for release in there.releases:
            front = seen.front(have.bot, release.id)
            if front or release.runs or release.enabled == "enabled":
                busy = front.sessions if front else 0
                calls = f"{busy} calls end in their own time" if busy else "no calls"
                grace = front.max_duration_s + 90.0 if front and busy else 15.0
                unit = places.unit(release.id)
                steps.append(Step("-", "unit", f"{release.id}, {calls}", Stop(unit, grace)))
        if there.site:
            spare_streams(seen, but=have.bot)
            steps.append(setup.no_site(places))
        if there.ports:
            steps += setup.close_firewall(have.bot, seen, there.ports, last)
        if ending := coturn.gone(seen, have.bot, files=True):
            steps += [*ending, *setup.close_relay(have.bot, seen)]
        units = tuple(places.unit_file(release.id) for release in there.releases)
        state = tuple(f"/var/{kind}/private/voicedeploy/{have.bot}" for kind in ("lib", "cache"))
        links = tuple(f"/var/{kind}/voicedeploy/{have.bot}" for kind in ("lib", "cache"))
        sockets = f"{SOCKETS}/{have.bot}"
        root = (ROOT,) if last else (places.root,)
        shared = tuple(f"/var/{k}{p}/voicedeploy" for k in ("lib", "cache") for p in ("", "/private")) if last else ()
        left = "; the package caddy stays" if last and seen.caddy else ""
        steps.append(
            Step(
                "-",
                "files",
                f"{root[0]}, units, state{left}",
                Remove((*units, *links, *state, *shared, sockets, *root)),
            )
        )
        return Plan(self.name, have.bot, have.release, None, tuple(steps))


def _delay(spec: Spec) -> int:
    return spec.session.max_duration + _AFTER_S


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _new_key() -> str:
    return token_urlsafe(32)
