"""Which firewall of a host keeps callers out of its UDP ports, and the command that opens it. Only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from voicedeploy_providers.vm.network.firewall import firewalld, iptables, nftables, ufw
from voicedeploy_providers.vm.network.firewall.rules import Fate, fates


@dataclass(frozen=True)
class Firewall:
    """`state` is about all of the ports: `closed` if one of them is. `fix` is the command that opens them."""

    name: str
    state: Literal["open", "closed", "unknown"]
    closed: tuple[int, ...] = ()
    fix: str = ""


def judge(outputs: Mapping[str, str], ports: Sequence[int], interface: str) -> Firewall:
    """What the host's own firewall does with a stranger's packets to `ports`, by what its commands print.

    Where ufw or firewalld is active it is the one that decides, for it writes the rules that the others show.
    """
    if not ports:
        return Firewall("", "unknown")
    span = (min(ports), max(ports))
    if ufw.active(text := outputs.get("ufw", "")):
        chain = ufw.chain(text, interface)
        found = {port: fates({"": chain}, "", port) for port in ports}
        return _judged("ufw", found, f"ufw allow {_span(span, ':')}/udp")
    if "target:" in (text := outputs.get("firewalld", "")):
        chain = firewalld.chain(text)
        found = {port: fates({"": chain}, "", port) for port in ports}
        add = f"firewall-cmd --permanent --zone={firewalld.zone(text)} --add-port={_span(span, '-')}/udp"
        return _judged("firewalld", found, f"{add} && firewall-cmd --reload")
    return _by_rules(outputs, ports, interface, span)


def _by_rules(outputs: Mapping[str, str], ports: Sequence[int], interface: str, span: tuple[int, int]) -> Firewall:
    tables = iptables.chains(outputs.get("iptables", ""), interface)
    if "INPUT" in tables:
        found = {port: fates(tables, "INPUT", port) for port in ports}
        fix = f"iptables -I INPUT -p udp --dport {_span(span, ':')} -j ACCEPT"
        judged = _judged("iptables", found, fix)
        if judged.state != "open":
            return judged
    unread = "nft" not in outputs and "INPUT" not in tables
    try:
        bases = nftables.bases(outputs.get("nft", '{"nftables": []}'), interface)
    except (ValueError, KeyError, TypeError):
        bases, unread = [], True
    for base in bases:
        if "INPUT" in tables and (base.family, base.table) == ("ip", "filter"):
            continue  # the same rules again, and less of them can be read
        found = {port: fates(base.chains, base.name, port) for port in ports}
        fix = f"nft insert rule {base.family} {base.table} {base.name} udp dport {_span(span, '-')} accept"
        judged = _judged("nftables", found, fix)
        if judged.state != "open":
            return judged
    if unread:
        return Firewall("", "unknown")
    return Firewall("iptables" if "INPUT" in tables else "nftables" if bases else "", "open")


def _judged(name: str, found: Mapping[int, set[Fate]], fix: str) -> Firewall:
    closed = tuple(port for port, ends in found.items() if ends == {"drop"})
    if closed:
        return Firewall(name, "closed", closed, fix)
    if any("drop" in ends for ends in found.values()):
        return Firewall(name, "unknown", (), fix)
    return Firewall(name, "open")


def _span(span: tuple[int, int], between: str) -> str:
    low, high = span
    return f"{low}{between}{high}" if high > low else str(low)
