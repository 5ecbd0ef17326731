"""A relay of the host's own, for callers whose network lets no UDP out: coturn, in a unit of ours without rights.

It passes packets to this host and to nowhere else, so nobody can use it to reach another machine. Bots do not ask it:
what a caller sends arrives at them from the host itself.
"""

from voicedeploy.options import ports
from voicedeploy.plan import Command, Remove, Step, Stop, Write
from voicedeploy.provider import Finding
from voicedeploy.render import render
from voicedeploy_providers.vm.facts import Facts, Ports
from voicedeploy_providers.vm.places import ROOT

PORT = 3478
RELAYED = (19900, 19999)
"""Below the bots' own, which begin at 20000. Only the host itself sends to them: no firewall has to let them in."""
FOLDER = f"{ROOT}/turn"
SECRET = f"{FOLDER}/secret"
PORTS = (f"{PORT}/tcp", f"{PORT}/udp")
UNIT = "voicedeploy-turn.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"

# Debian's own unit would begin at once, with settings that let everybody in.
_INSTALL = """\
set -eu
export DEBIAN_FRONTEND=noninteractive
take() { apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 coturn; }
systemctl mask --quiet coturn.service
take || { apt-get update -qq && take; } || { systemctl unmask --quiet coturn.service; exit 1; }
systemctl disable --quiet coturn.service 2>/dev/null || true
systemctl unmask --quiet coturn.service
"""
_START = """\
set -eu
systemctl daemon-reload
systemctl enable --quiet "$1"
systemctl restart "$1"
n=0
until ss -Hltn "sport = :$2" | grep -q .; do
  n=$((n + 1))
  [ $n -lt 50 ] && systemctl is-active --quiet "$1" || { journalctl -q --no-pager -o cat -n 5 -u "$1" >&2; exit 1; }
  sleep 0.2
done
"""


def texts(public_ip: str) -> dict[str, str]:
    """What stands on the host, by path."""
    low, high = RELAYED
    values = {"folder": FOLDER, "port": PORT, "low": low, "high": high, "public_ip": public_ip}
    return {
        f"{FOLDER}/turnserver.conf": render("vm/turnserver.conf.j2", values),
        f"{FOLDER}/start": render("vm/turn.sh.j2", values),
        UNIT_FILE: render("vm/turn.service.j2", values),
    }


def steps(facts: Facts, public_ip: str, secret: str) -> list[Step]:
    """Up to a relay that runs. `secret` is for one that has none yet."""
    there = facts.turn
    made = []
    if not there.installed:
        made.append(Step("+", "system", "coturn", Command(("sh", "-c", _INSTALL, "sh"))))
    if not there.secret:
        made.append(Step("+", "secret", "of the relay", Write(SECRET, secret.encode(), 0o600, secret=True)))
    wanted = texts(public_ip)
    changed = [path for path, text in wanted.items() if there.texts.get(path) != text]
    made += [Step("+", "relay", path, Write(path, wanted[path].encode())) for path in changed]
    if made or not there.active:
        detail = f"{UNIT}, {PORT}/tcp and {PORT}/udp"
        made.append(Step("+", "relay", detail, Command(("sh", "-c", _START, "sh", UNIT, str(PORT)))))
    return made


def gone(facts: Facts, bot: str, *, files: bool = False) -> list[Step]:
    """Ends it where `bot` was the last that used it. Without `files` its secret stays, for a way back."""
    others = (other for name, other in facts.bots.items() if name != bot)
    if not facts.turn.texts.get(UNIT_FILE) or any(other.ports and other.ports.relay for other in others):
        return []
    return [
        Step("-", "relay", f"{UNIT}; the package coturn stays", Stop(UNIT)),
        Step("-", "relay", UNIT_FILE, Remove((UNIT_FILE, *((FOLDER,) if files else ())))),
    ]


def findings(facts: Facts, mine: Ports) -> list[Finding]:
    if not mine.relay:
        return []
    found = []
    user = facts.listening.get(PORT, "")
    if user and not facts.turn.active:
        found.append(
            Finding("VD318", "error", "turn", f"{user} has taken {PORT}/tcp, where the host's own relay has to be",
                    "end it there, or use it: name it in transport.turn, and take out [provider.vm] turn")
        )  # fmt: skip
    low, high = RELAYED
    if set(ports(mine.udp)) & set(range(low, high + 1)):
        found.append(
            Finding("VD319", "error", "turn", f"{mine.udp} meets {low}-{high}, which are the relay's",
                    'choose another range: [provider.vm] udp_ports = "20000-20015"')
        )  # fmt: skip
    return found
