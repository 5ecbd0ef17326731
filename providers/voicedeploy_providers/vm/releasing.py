"""A release on a host: made, started behind closed doors, called, opened, and the older ones drained."""

import json
from datetime import UTC, datetime

import tomli_w

from voicedeploy import beside, environment, project
from voicedeploy.deployment import Deployment
from voicedeploy.front import Seat, config
from voicedeploy.plan import Call, Command, Door, Prove, Remove, Step, Stop, Upload, Write
from voicedeploy.render import render
from voicedeploy.spec import Spec
from voicedeploy_providers.vm import coturn, runtime
from voicedeploy_providers.vm import places as where
from voicedeploy_providers.vm.facts import Bot, Facts, Front, Ports
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.places import SOCKETS, UV_ENVIRONMENT, Places

READY_S = 60.0
"""A bot with its models cold on disk was seen to take 15 s."""
_ITSELF = 768 * 2**20
"""Bytes for the front and the bot's parent process, beside what the calls have."""

_RECORD = """\
set -eu
bot=$1; release=$2; folder=$3
cat > "$folder/.deployment.toml"
printf '%s\\n' "$release" > "$folder/.live"
[ "$(tail -n 1 "$folder/history" 2>/dev/null)" = "$release" ] || printf '%s\\n' "$release" >> "$folder/history"
mv -f "$folder/.live" "$folder/live"
mv -f "$folder/.deployment.toml" "$folder/deployment.toml"
systemctl enable --quiet "voicedeploy-$bot@$release.service"
for link in /etc/systemd/system/multi-user.target.wants/voicedeploy-"$bot"@*.service; do
  unit=${link##*/}
  [ ! -L "$link" ] || [ "$unit" = "voicedeploy-$bot@$release.service" ] || systemctl disable --quiet "$unit"
done
"""


def unit(spec: Spec, release: str, *, relay: bool = False) -> str:
    """The unit of one release, with the room that its calls need. `relay`: it uses the host's own."""
    places = Places(spec.bot.name)
    session, slots = spec.session, spec.pool.max
    folder = places.release(release)
    return render(
        "vm/unit.service.j2",
        {
            "bot": spec.bot.name,
            "release": release,
            "engine": where.engine(beside.identity()),
            "config": f"{folder}/front.toml",
            "project": f"{folder}/bot",
            "key": places / "key",
            "secrets": places / "secrets.json",
            "turn_secret": coturn.SECRET if relay else "",
            "user": places.user,
            "max_duration": session.max_duration,
            "cpu_percent": round(100 * (session.cpu * slots + 1)),
            "memory": session.memory * slots + _ITSELF,
            "tasks": 64 * (slots + 4),
        },
    )


def front_toml(spec: Spec, release: str, ports: Ports, options: Options) -> str:
    places = Places(spec.bot.name)
    media = spec.receives_media
    seat = Seat(
        project=f"{places.release(release)}/bot",
        python=f"{places.environment(environment.digest(spec))}/bin/python",
        secrets="secrets.json",
        key="key",
        socket=places.socket(release),
        host="127.0.0.1",
        port=ports.tcp,
        udp_ports=ports.udp if media else "",
        public_ip=(options.public_ip or ports.public_ip) if media else "",
        nets=(options.nets or ports.nets) if media else (),
        peers_folder=f"{SOCKETS}/{spec.bot.name}",
        live_file=places / "live",
        trusted_proxies=("127.0.0.0/8", "::1/128"),
        tcp_only=ports.tcp_only,
        relay=relay(ports),
    )
    return config(spec, release, seat)


def relay(ports: Ports) -> tuple[str, ...]:
    """The addresses of the host's own relay, as callers reach it."""
    if not ports.relay:
        return ()
    host = f"[{ports.relay}]" if ":" in ports.relay else ports.relay
    return tuple(f"turn:{host}:{coturn.PORT}?transport={way}" for way in ("udp", "tcp"))


def make(spec: Spec, release: str, facts: Facts, ports: Ports, options: Options, key: str, url: str) -> list[Step]:
    """The release's files, its environment and its unit. Nothing runs yet."""
    places, there = Places(spec.bot.name), facts.of(spec.bot.name)
    folder = places.release(release)
    names = project.files(spec.root)
    digest = environment.digest(spec)
    steps = []
    if there.ports != ports:
        media = f", {ports.udp}/udp for {spec.pool.max} calls" if spec.receives_media else ""
        detail = f"{ports.tcp}/tcp behind Caddy{media}"
        steps.append(Step("+", "ports", detail, Write(places / "ports", ports.text().encode())))
    if not there.key:
        steps.append(Step("+", "key", "made for this bot", Write(places / "key", key.encode(), 0o600, secret=True)))
    if not there.secrets:
        steps.append(Step("+", "secrets", "none yet", Write(places / "secrets.json", b"{}", 0o600, secret=True)))
    about = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": digest,
        "transport": spec.transport.kind.value,
        "upstream": spec.upstream.provider or spec.upstream.url,
        "url": url,
    }
    config = front_toml(spec, release, ports, options).encode()
    text = unit(spec, release, relay=bool(ports.relay))
    return [
        *steps,
        Step("+", "release", f"{release}, {len(names)} files", Upload(spec.root, names, f"{folder}/bot")),
        *environment.steps(
            spec,
            uv=runtime.uv_on_host(),
            folder=places.environment(digest),
            source=f"{folder}/bot",
            env=UV_ENVIRONMENT,
            exists=digest in there.environments,
        ),
        Step("+", "settings", "front.toml", Write(f"{folder}/front.toml", config, 0o600, secret=_secret(spec))),
        Step("+", "unit", places.unit(release), Write(places.unit_file(release), text.encode())),
        Step("+", "about", "release.toml", Write(f"{folder}/release.toml", tomli_w.dumps(about).encode())),
    ]


def _secret(spec: Spec) -> bool:
    """A relay's password is in front.toml."""
    return any(server.credential for server in spec.transport.servers)


def start(bot: str, release: str, now: Front | None, proved: str) -> list[Step]:
    """Until it has answered: it is called from the host itself before anybody else can. `proved`: what that shows."""
    places = Places(bot)
    name, socket = places.unit(release), places.socket(release)
    steps = []
    if now is None or not (now.ready or now.draining):
        script = 'systemctl daemon-reload && systemctl reset-failed "$1" 2>/dev/null; systemctl restart "$1"'
        steps.append(
            Step(
                "+",
                "start",
                name,
                Command(("sh", "-c", script, "sh", name)),
                undo=Stop(name, 2.0),
            )
        )
    if now is None or not now.draining:
        there = Call("GET", "http://front/readyz", socket, wait_s=READY_S, log=name)
        proof = Command((where.python(beside.identity()), "-I", "-m", "voicedeploy.call.proof", socket))
        steps += [
            Step("✓", "ready", "the bot is loaded", there),
            Step("✓", proved, "one real call, before it gets traffic", Prove(Door("http://front/", socket), proof)),
        ]
    return steps


def switch(bot: str, release: str, record: Deployment, facts: Facts) -> list[Step]:
    """New calls go to `release`; the others end theirs."""
    places, there = Places(bot), facts.of(bot)
    now = facts.front(bot, release)
    steps = []
    if now is None or not now.listening or now.draining:
        opening = Call("POST", "http://front/open", places.socket(release), {}, wait_s=5, log=places.unit(release))
        steps.append(Step("~", "traffic", f"new calls to {release}", opening, commits=True))
    if there.live != release or there.record.get("voicedeploy-release") != release or not _enabled(there, release):
        text = "# Written by voicedeploy: what is live.\n" + tomli_w.dumps(record.labels())
        command = Command(("sh", "-c", _RECORD, "sh", bot, release, places.root), stdin=text.encode())
        steps.append(Step("+", "record", f"{release} is live, also after a reboot", command, commits=True))
    for old in facts.fronts_of(bot):
        if old.release != release and (old.listening or not old.draining):
            calls = f"{old.sessions} calls end in their own time" if old.sessions else "no calls"
            drain = Call("POST", "http://front/drain", places.socket(old.release), {"release_port": True})
            steps.append(Step("-", "release", f"{old.release} drains, {calls}", drain))
    return steps


def _enabled(there: Bot, release: str) -> bool:
    return any(r.id == release and r.enabled == "enabled" for r in there.releases)


def prune(bot: str, release: str, facts: Facts, keep: int, needed: str) -> list[Step]:
    """What nobody can want any more, as far as it does not run: releases that were never live, those beyond the last
    `keep` that were, and environments that no release needs. `needed`: the environment of `release`."""
    places, there = Places(bot), facts.of(bot)
    fronts = {front.release for front in facts.fronts_of(bot)}
    others = [r for r in there.releases if r.id != release]
    newest = sorted((r for r in others if r.id in there.history), key=lambda r: r.created_at, reverse=True)
    wanted = {r.id for r in newest[: keep - 1]} | fronts
    gone = [r for r in others if r.id not in wanted and not r.runs]
    if not gone:
        return []
    kept = {needed, *(r.environment for r in others if r not in gone)}
    paths = [path for r in gone for path in (places.release(r.id), places.unit_file(r.id))]
    paths += [places.environment(r.environment) for r in gone if r.environment and r.environment not in kept]
    return [Step("-", "files", f"of {len(gone)} older releases", Remove(tuple(dict.fromkeys(paths))))]


def last_good(there: Bot) -> str:
    """The release that was live before this one and is still here; "" where there is none."""
    here = {release.id for release in there.releases}
    return next((release for release in reversed(there.history) if release != there.live and release in here), "")


def settings(spec: Spec, options: Options, ports: Ports) -> str:
    """All that makes another release of the same files."""
    text = [
        spec.model_dump(mode="json", exclude={"provider"}),
        beside.identity(),
        unit(spec, "release", relay=bool(ports.relay)),
        front_toml(spec, "release", ports, options),
        options.packages,
    ]
    return json.dumps(text, sort_keys=True)
