"""What can stand in the way on a host, seen before anything is done."""

from collections.abc import Sequence

from voicedeploy import environment, readiness
from voicedeploy.network import ServesHttp, need
from voicedeploy.options import ports
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy.turn import Outcome
from voicedeploy_providers.vm.entrance import lets_streams_live
from voicedeploy_providers.vm.facts import Facts, Ports
from voicedeploy_providers.vm.options import Options

_SYSTEMD = 247
"""The first with credentials, by which secrets reach the unit."""
_MIB = 2**20
_RELEASE_BYTES = 50 * _MIB
_ENVIRONMENT_BYTES = 1500 * _MIB
"""A Pipecat environment takes 1 GB with uv's cache, whose files it shares, and the front's own a third of that."""
_SKEW_S = 30.0
_ITSELF = 512 * _MIB


def findings(
    spec: Spec,
    options: Options,
    facts: Facts,
    mine: Ports,
    secrets: tuple[str, ...],
    tried: Sequence[Outcome] | None = None,
) -> list[Finding]:
    """`mine`: the ports this bot has or would get. `tried`: what relays said to the host."""
    return [
        *_system(facts),
        *_clock(facts),
        *_room(spec, facts),
        *_disk(spec, facts),
        *_web(facts),
        *_streams(spec, facts),
        *_ports(spec, options, facts, mine),
        *readiness.findings(spec, secrets, tried),
    ]


def _system(facts: Facts) -> list[Finding]:
    found = []
    if facts.systemd < _SYSTEMD:
        said = f"systemd {facts.systemd}" if facts.systemd else "no systemd"
        found.append(
            Finding("VD201", "error", "host", f"{facts.system}: {said}, and {_SYSTEMD} or later is needed",
                    "use Debian 12, Ubuntu 22.04 or anything newer")
        )  # fmt: skip
    if not facts.apt and not facts.caddy:
        found.append(
            Finding("VD202", "error", "host", f"{facts.system} has no apt-get, and Caddy is not installed",
                    "install Caddy there (caddyserver.com/docs/install), then again")
        )  # fmt: skip
    if not facts.python or tuple(map(int, facts.python.split("."))) < (3, 11):
        has = f"Python {facts.python}" if facts.python else "no Python"
        found.append(
            Finding("VD209", "warning", "python", f"{has} there; uv will fetch one, which needs the network",
                    "apt-get install python3 on Debian 12 or Ubuntu 24.04, where it is new enough")
        )  # fmt: skip
    return found or [Finding("VD000", "ok", "host", f"{facts.system}, {facts.machine}")]


def _clock(facts: Facts) -> list[Finding]:
    if abs(facts.skew_s) <= _SKEW_S:
        return []
    way = "ahead of" if facts.skew_s > 0 else "behind"
    return [
        Finding("VD204", "error", "clock",
                f"the host's clock is {_off(abs(facts.skew_s))} {way} this machine's: tokens and certificates fail",
                "timedatectl set-ntp true, on the one that is wrong")
    ]  # fmt: skip


def _off(seconds: float) -> str:
    """`40 s`, `24 h`, `1826 days`: as a person sees it in a clock."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _room(spec: Spec, facts: Facts) -> list[Finding]:
    session, slots = spec.session, spec.pool.max
    calls = min(int(facts.cores / session.cpu), int((facts.memory - _ITSELF) / session.memory))
    size = f"{facts.cores} cores, {facts.memory / 2**30:.1f} GB: room for {max(0, calls)} calls"
    if calls >= slots:
        return [Finding("VD000", "ok", "room", size)]
    return [
        Finding("VD205", "warning", "room", f"{size}, and pool.max is {slots}",
                f"set pool.max = {max(1, calls)}, or take a larger host")
    ]  # fmt: skip


def _disk(spec: Spec, facts: Facts) -> list[Finding]:
    try:
        there = environment.digest(spec) in facts.of(spec.bot.name).environments
    except Exception:
        there = False
    need = _RELEASE_BYTES if there else _ENVIRONMENT_BYTES
    if facts.disk_free >= need:
        return [Finding("VD000", "ok", "disk", f"{facts.disk_free / 2**30:.1f} GB free")]
    said = f"{facts.disk_free / _MIB:.0f} MB free in /opt; this release needs {need / _MIB:.0f}"
    fix = "free some space there; `voicedeploy releases` shows what is kept"
    return [Finding("VD203", "error", "disk", said, fix)]


def _web(facts: Facts) -> list[Finding]:
    for port in (80, 443):
        user = facts.listening.get(port, "caddy")
        if user and user != "caddy":
            return [
                Finding("VD206", "error", "https", f"{user} listens on port {port}, where Caddy has to",
                        f"move {user} to another port, or let it go: systemctl disable --now {user}")
            ]  # fmt: skip
    return []


def _streams(spec: Spec, facts: Facts) -> list[Finding]:
    if not isinstance(need(spec.transport.kind), ServesHttp) or lets_streams_live(facts):
        return []
    said = f"Caddy {facts.caddy or facts.caddy_offered} cuts WebSockets when it reads its files again"
    return [
        Finding("VD304", "warning", "https", f"{said}: while a call runs, no bot comes to this host or goes from it",
                "install Caddy 2.7 or later: https://caddyserver.com/docs/install")
    ]  # fmt: skip


def _ports(spec: Spec, options: Options, facts: Facts, mine: Ports) -> list[Finding]:
    found = []
    user = facts.listening.get(mine.tcp, "")
    if user and not facts.fronts_of(spec.bot.name):
        found.append(
            Finding("VD207", "error", "port", f"{user} has taken {mine.tcp}/tcp, which is this bot's",
                    f"end it, or remove /opt/voicedeploy/bots/{spec.bot.name}/ports there to get another")
        )  # fmt: skip
    if not spec.receives_media:
        return found
    udp = ports(mine.udp)
    low, high = facts.ephemeral
    if len(udp) < spec.pool.max:
        found.append(
            Finding("VD012", "error", "udp", f"{len(udp)} ports for {spec.pool.max} calls",
                    f'widen it: [provider.vm] udp_ports = "{udp[0]}-{udp[0] + 2 * spec.pool.max - 1}"')
        )  # fmt: skip
    if udp[-1] >= low and udp[0] <= high:
        found.append(
            Finding("VD200", "warning", "udp", f"{mine.udp} is in the range {low}-{high} that any program may get",
                    'choose one below, e.g. [provider.vm] udp_ports = "20000-20015"')
        )  # fmt: skip
    for name, other in facts.bots.items():
        if name != spec.bot.name and other.ports and other.ports.udp and set(udp) & set(ports(other.ports.udp)):
            found.append(
                Finding("VD208", "error", "udp", f"{mine.udp} meets {other.ports.udp}, which {name} has",
                        "choose another range in [provider.vm] udp_ports, or none, to get a free one")
            )  # fmt: skip
    return found or [Finding("VD000", "ok", "udp", f"ports {mine.udp}")]
