"""`ufw status` and `ufw status verbose`."""

import re

from voicedeploy_providers.vm.network.firewall.rules import Chain, Fate, Match, Rule

_LINE = re.compile(r"(\S.*?)\s{2,}(ALLOW|DENY|REJECT|LIMIT)(?: (IN|OUT|FWD))?\s{2,}(\S.*?)\s*(?:#.*)?$")
_LONG = re.compile(
    r"(\S+(?: \(v6\))?(?: on \S+)?) (ALLOW|DENY|REJECT|LIMIT)(?: (IN|OUT|FWD))?\s{2,}(\S.*?)\s*(?:#.*)?$"
)


def active(text: str) -> bool:
    return text.startswith("Status: active")


def chain(text: str, interface: str) -> Chain:
    """Rules for what comes in over IPv4 by `interface`, in the order in which ufw asks them."""
    default = re.search(r"^Default: (\w+) \(incoming\)", text, re.MULTILINE)
    policy: Fate = "accept" if default and default[1] == "allow" else "drop"
    rules = []
    for line in text.splitlines():
        found = _LINE.match(line) or _LONG.match(line)
        if not found or "(v6)" in found[1] or found[3] in ("OUT", "FWD"):
            continue
        to, action, _, sender = found.groups()
        if sender != "Anywhere":  # of somebody whom the caller is not
            continue
        to, _, only = to.partition(" on ")
        if only not in ("", interface):
            continue
        rules.append(Rule(_match(to), "accept" if action in ("ALLOW", "LIMIT") else "drop"))
    return Chain(rules, policy)


def _match(to: str) -> Match:
    words = to.split()
    last = re.sub(r"\s*\(.*\)$", "", words[-1]) if words else ""
    if to.startswith("Anywhere"):
        return lambda port: None if "/" in to else True
    ports, _, protocol = (last or words[0]).partition("/")
    if protocol not in ("", "udp") or not re.fullmatch(r"[\d:,]+", ports):
        return lambda port: False if protocol and protocol != "udp" else None
    ranges = [part.partition(":") for part in ports.split(",")]
    spans = [(int(low), int(high or low)) for low, _, high in ranges]
    certain = len(words) == 1  # else to one of the host's addresses
    return lambda port: (True if certain else None) if any(low <= port <= high for low, high in spans) else False
