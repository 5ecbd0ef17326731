"""`firewall-cmd --list-all` of the zone by which packets come in."""

import re

from voicedeploy_providers.vm.network.firewall.rules import Chain, Match, Rule, always


def zone(text: str) -> str:
    return text.strip().partition("\n")[0].partition(" ")[0]


def chain(text: str) -> Chain:
    entries = dict(re.findall(r"^  ([\w-]+): ?(.*)$", text, re.MULTILINE))
    rules = [Rule(_within(port), "accept") for port in entries.get("ports", "").split() if port.endswith("/udp")]
    if "udp" in entries.get("protocols", "").split():
        rules.append(Rule(always, "accept"))
    rich = [rule for line in text.splitlines() if line.lstrip().startswith("rule ") and (rule := _rich(line))]
    # firewalld asks what refuses before what lets in.
    rich.sort(key=lambda rule: rule.action == "accept")
    return Chain([*rich, *rules], "accept" if entries.get("target") == "ACCEPT" else "drop")


def _within(text: str) -> Match:
    low, _, high = text.partition("/")[0].partition("-")
    return lambda port: int(low) <= port <= int(high or low)


def _rich(line: str) -> Rule | None:
    if "source " in line or 'family="ipv6"' in line:
        return None
    words = line.split()
    action = next((word for word in words if word in ("accept", "drop", "reject")), "")
    if not action:
        return None
    port = re.search(r'(?<!-)port port="([\d-]+)" protocol="(\w+)"', line)
    if port and port[2] != "udp":
        return None
    certain = bool(port) and "limit " not in line and "destination " not in line
    within = _within(port[1]) if port else always

    def match(asked: int) -> bool | None:
        return (True if certain else None) if within(asked) else False

    return Rule(match, "accept" if action == "accept" else "drop")
