"""What a list of rules does with a stranger's first UDP packet, as far as the rules can be read.

A match is true, false, or None where nobody can tell: then both ways are followed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Fate = Literal["accept", "drop"]
Match = Callable[[int], bool | None]
"""Whether a stranger's UDP packet to this port is meant."""
Action = Literal["accept", "drop", "return", "jump", "goto"]


@dataclass(frozen=True)
class Rule:
    match: Match
    action: Action
    to: str = ""
    """The chain of `jump` and `goto`."""


@dataclass(frozen=True)
class Chain:
    rules: Sequence[Rule]
    policy: Fate | None = None
    """None: back to where it was called from."""


def fates(chains: Mapping[str, Chain], name: str, port: int) -> set[Fate]:
    """What can become of a packet to `port` that enters the chain `name`; two fates mean that nobody can tell."""
    ends = _walk(chains, name, port, 0)
    policy = chains[name].policy or "accept"
    return {policy if end == "return" else end for end in ends}


def _walk(chains: Mapping[str, Chain], name: str, port: int, depth: int) -> set[Fate | Literal["return"]]:
    chain = chains.get(name)
    if chain is None or depth > 32:
        return {"return"}
    ends: set[Fate | Literal["return"]] = set()
    for rule in chain.rules:
        matches = rule.match(port)
        if matches is False:
            continue
        match rule.action:
            case "accept" | "drop":
                found: set[Fate | Literal["return"]] = {rule.action}
            case "return":
                found = {"return"}
            case "goto":
                found = _walk(chains, rule.to, port, depth + 1)
            case "jump":
                found = _walk(chains, rule.to, port, depth + 1)
                if "return" in found:  # it goes on behind this rule
                    ends |= found - {"return"}
                    continue
        ends |= found
        if matches:
            return ends
    return ends | {"return"}


def both(*matches: bool | None) -> bool | None:
    """True if all are, false if one is, None if it cannot be told."""
    if False in matches:
        return False
    return None if None in matches else True


def always(_: int) -> bool:
    return True
