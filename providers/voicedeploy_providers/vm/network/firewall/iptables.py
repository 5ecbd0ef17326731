"""`iptables -S`."""

import shlex
from collections.abc import Sequence

from voicedeploy_providers.vm.network.firewall.rules import Action, Chain, Fate, Rule, both

_ENDS: dict[str, Action] = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_IGNORED = {
    "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TRACE", "AUDIT", "NOTRACK", "CT", "TCPMSS", "SET", "CLASSIFY",
}  # fmt: skip


def chains(text: str, interface: str) -> dict[str, Chain]:
    """The chains of the table `filter`, for packets that come in by `interface`."""
    rules: dict[str, list[Rule]] = {}
    policies: dict[str, Fate] = {}
    for line in text.splitlines():
        words = shlex.split(line)
        if len(words) < 2:
            continue
        match words[0]:
            case "-P":
                rules.setdefault(words[1], [])
                policies[words[1]] = "accept" if words[2] == "ACCEPT" else "drop"
            case "-N":
                rules.setdefault(words[1], [])
            case "-A":
                if rule := _rule(words[2:], interface):
                    rules.setdefault(words[1], []).append(rule)
    return {name: Chain(listed, policies.get(name)) for name, listed in rules.items()}


def _rule(words: Sequence[str], interface: str) -> Rule | None:
    tests: list[bool | None] = []
    spans: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    target, goto, negated = "", False, False
    rest = iter(words)
    for word in rest:
        if word == "!":
            negated = True
            continue
        found: bool | None = True
        match word:
            case "-j" | "-g":
                target, goto = next(rest, ""), word == "-g"
                break  # what follows are the target's own options
            case "-p":
                found = next(rest) in ("udp", "all")
            case "-i":
                name = next(rest)
                found = interface.startswith(name[:-1]) if name.endswith("+") else name == interface
            case "-s":
                next(rest)
                found = False  # the sender is somebody else
            case "-o":
                next(rest)
                found = False
            case "-m":
                next(rest)
                continue
            case "--dport" | "--dports" | "--ports":
                (others if negated else spans).extend(_spans(next(rest)))
                negated = False
                continue
            case "--ctstate" | "--state":
                found = "NEW" in next(rest).split(",")
            case "--comment":
                next(rest)
                continue
            case "--dst-type":
                found = next(rest) == "LOCAL"
            case "--set" | "--reap" | "--rttl":
                continue
            case _:
                found = None
        tests.append(found if found is None or not negated else not found)
        negated = False
    action: Action | None = _ENDS.get(target) or (("goto" if goto else "jump") if target else None)
    if action is None or target in _IGNORED:
        return None
    certain = both(*tests)

    def matches(port: int) -> bool | None:
        inside = not spans or any(low <= port <= high for low, high in spans)
        outside = not any(low <= port <= high for low, high in others)
        return both(inside and outside, certain)

    return Rule(matches, action, target if action in ("jump", "goto") else "")


def _spans(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        if (low or colon) and (low + high).isdigit():
            found.append((int(low or 0), int(high or (65535 if colon else low))))
    return found
