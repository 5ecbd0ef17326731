"""What a host needs once, for whatever bot: packages, what is ours, open ports, Caddy."""

from collections.abc import Sequence

from voicedeploy.plan import Command, Step
from voicedeploy_providers.vm import coturn, runtime
from voicedeploy_providers.vm.entrance import Entrance
from voicedeploy_providers.vm.facts import Facts, Ports
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.places import CADDYFILE, SITES, Places

_WEB = ("80/tcp", "443/tcp")
_INSTALL = """\
set -eu
export DEBIAN_FRONTEND=noninteractive
take() { apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"; }
take "$@" || { apt-get update -qq && take "$@"; }
"""

_SITE = f"""\
set -eu
mkdir -p {SITES}
had=no; before=$(mktemp)
[ -e "$1" ] && cp -p "$1" "$before" && had=yes
caddyfile=$(mktemp); cp -p {CADDYFILE} "$caddyfile"
back() {{
  if [ $had = yes ]; then cp -p "$before" "$1"; else rm -f "$1"; fi
  cp -p "$caddyfile" {CADDYFILE}
}}
cat > "$1"
chmod 644 "$1"
grep -qF 'import {SITES}/*.caddy' {CADDYFILE} || printf '\\nimport {SITES}/*.caddy\\n' >> {CADDYFILE}
if caddy validate --config {CADDYFILE} --adapter caddyfile >"$before.said" 2>&1 &&
  {{ systemctl is-active --quiet caddy || systemctl start caddy; }} && systemctl reload caddy; then
  systemctl enable --quiet caddy 2>/dev/null || true
  rm -f "$before" "$before.said" "$caddyfile"
else
  back "$1"
  grep -i error "$before.said" >&2 || tail -n 5 "$before.said" >&2
  rm -f "$before" "$before.said" "$caddyfile"
  exit 1
fi
"""

_NO_SITE = f"""\
set -eu
rm -f -- "$1"
if [ -z "$(ls {SITES} 2>/dev/null)" ]; then
  rm -rf {SITES}
  [ ! -e {CADDYFILE} ] || sed -i '\\|^import {SITES}/\\*.caddy$|d' {CADDYFILE}
fi
systemctl is-active --quiet caddy && systemctl reload caddy || true
"""


def steps(bot: str, options: Options, facts: Facts, ports: Ports, *, media: bool = True) -> list[Step]:
    """Up to where a release can be made. `media`: packets of callers come to it."""
    wanted = [*options.packages, *(["caddy"] if not facts.caddy else [])]
    made = []
    if "caddy" in wanted or (options.packages and not facts.of(bot).releases):
        made.append(Step("+", "system", " ".join(wanted), Command(("sh", "-c", _INSTALL, "sh", *wanted))))
    return [*made, *runtime.steps(facts), *firewall(bot, facts, ports, media=media)]


def firewall(bot: str, facts: Facts, ports: Ports, *, media: bool = True) -> list[Step]:
    """Opens what the bot needs and nothing else, where a firewall is active.

    Those of the relay too, if it has its own. Without `media` the range of an earlier transport is closed, as
    soon as no call can be on it any more.
    """
    if not media:
        closing = _close(bot, facts, (), ports.udp) if ports.udp and not _listens_for_media(bot, facts) else []
        return [*_open(bot, facts, ("80/tcp", "443/tcp")), *closing]
    return _open(bot, facts, ("80/tcp", "443/tcp", f"{ports.udp}/udp", *(coturn.PORTS if ports.relay else ())))


def close_firewall(bot: str, facts: Facts, ports: Ports, last: bool) -> list[Step]:
    """The other way round. Ports of the web stay while another bot needs them."""
    return _close(bot, facts, ("80/tcp", "443/tcp") if last else (), ports.udp)


def close_relay(bot: str, facts: Facts) -> list[Step]:
    return _close(bot, facts, (f"{coturn.PORT}/tcp",), str(coturn.PORT))


def _listens_for_media(bot: str, facts: Facts) -> bool:
    media = {release.id: release.receives_media for release in facts.of(bot).releases}
    return any(media.get(front.release, True) for front in facts.fronts_of(bot))


def _open(bot: str, facts: Facts, wanted: Sequence[str]) -> list[Step]:
    """`wanted` as firewalld writes ports: `20000-20007/udp`."""
    if facts.ufw_active:
        rules = [port.replace("-", ":") for port in wanted]
        missing = [rule for rule in rules if f"\n{rule} " not in facts.ufw]
        name = f"voicedeploy {bot}"
        return [
            Step("+", "firewall", f"ufw allow {rule}", Command(("ufw", "allow", rule, "comment", name)))
            for rule in missing
        ]
    if facts.firewalld:
        closed = [port for port in wanted if port not in facts.firewalld.split()]
        add = tuple(f"--add-port={port}" for port in closed)
        if closed:
            script = 'firewall-cmd -q "$@" && firewall-cmd -q --permanent "$@"'
            return [Step("+", "firewall", f"firewalld: {' '.join(closed)}", Command(("sh", "-c", script, "sh", *add)))]
    return []


def _close(bot: str, facts: Facts, web: Sequence[str], udp: str) -> list[Step]:
    """What is ours of it; "" for `udp` is none."""
    rules = [*web, *([f"{udp.replace('-', ':')}/udp"] if udp else [])]
    ours = [
        rule
        for rule in rules
        if any(line.startswith(f"{rule} ") and "# voicedeploy" in line for line in facts.ufw.splitlines())
    ]
    if facts.ufw_active and ours:
        script = 'for rule in "$@"; do ufw delete allow "$rule"; done'
        return [Step("-", "firewall", f"ufw: {' '.join(ours)}", Command(("sh", "-c", script, "sh", *ours)))]
    # firewalld does not remember whose a port is; those of the web may be another's.
    there = [port for port in (*web, f"{udp}/udp") if port in facts.firewalld.split() and port not in _WEB]
    if there:
        gone = tuple(f"--remove-port={port}" for port in there)
        script = 'firewall-cmd -q "$@" && firewall-cmd -q --permanent "$@"'
        return [Step("-", "firewall", f"firewalld: {' '.join(there)}", Command(("sh", "-c", script, "sh", *gone)))]
    return []


def site(places: Places, facts: Facts, at: Entrance, text: str) -> list[Step]:
    """Caddy's file for the bot, tried before it counts. Caddy reads it again without a restart."""
    there = facts.of(places.bot)
    if there.site == text and facts.caddy_active and SITES in facts.caddyfile:
        return []
    command = Command(("sh", "-c", _SITE, "sh", places.site), stdin=text.encode())
    return [Step("~" if there.site else "+", "https", f"{at.url} ({at.why})", command)]


def no_site(places: Places) -> Step:
    return Step("-", "https", places.site, Command(("sh", "-c", _NO_SITE, "sh", places.site)))
