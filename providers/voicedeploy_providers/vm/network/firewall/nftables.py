"""`nft -j list ruleset`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicedeploy_providers.vm.network.firewall.rules import Action, Chain, Match, Rule, both

_FAMILIES = ("ip", "inet")
_VERDICTS: dict[str, Action] = {
    "accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "jump": "jump", "goto": "goto",
}  # fmt: skip
_TARGETS: dict[str, Action] = {"DROP": "drop", "REJECT": "drop"}
# They count, log or mark, and let the packet go on.
_PASSIVE = {"counter", "log", "mangle", "notrack", "comment", "quota", "set", "map", "ct helper", "flow"}


@dataclass(frozen=True)
class Base:
    """A chain at which packets for the host come in."""

    family: str
    table: str
    name: str
    chains: Mapping[str, Chain]


def bases(text: str, interface: str) -> list[Base]:
    """In the order in which the kernel asks them; a packet has to pass them all. `ValueError` if it is not JSON."""
    entries = json.loads(text)["nftables"]
    sets = {_key(one, one["name"]): one.get("elem", []) for entry in entries if (one := entry.get("set"))}
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for entry in entries:
        if (one := entry.get("rule")) and one["family"] in _FAMILIES:
            within = {name: elem for (family, table, name), elem in sets.items() if (family, table) == _table(one)}
            rules.setdefault(_key(one, one["chain"]), []).extend(_rules(one["expr"], within, interface))
    declared = [one for entry in entries if (one := entry.get("chain")) and one["family"] in _FAMILIES]
    chains: dict[tuple[str, str], dict[str, Chain]] = {}
    for one in declared:
        policy = one.get("policy") if "hook" in one else None
        chains.setdefault(_table(one), {})[one["name"]] = Chain(rules.get(_key(one, one["name"]), []), policy)
    hooked = [one for one in declared if one.get("type") == "filter" and one.get("hook") in ("prerouting", "input")]
    hooked.sort(key=lambda one: (one["hook"] == "input", one.get("prio", 0)))
    return [Base(one["family"], one["table"], one["name"], chains[_table(one)]) for one in hooked]


def _table(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["family"], one["table"]


def _key(one: Mapping[str, Any], name: str) -> tuple[str, str, str]:
    return one["family"], one["table"], name


def _rules(expressions: Sequence[Mapping[str, Any]], sets: Mapping[str, Any], interface: str) -> list[Rule]:
    """One rule, or one for each entry of a verdict map."""
    matches: list[Match] = []
    for expression in expressions:
        for word, value in expression.items():
            if word == "match":
                matches.append(_match(value, sets, interface))
            elif word == "vmap":
                return [
                    Rule(_all([*matches, _compared(value["key"], "==", {"set": [key]}, sets, interface)]), action, to)
                    for key, verdict in _entries(value["data"], sets)
                    if (found := _verdict(verdict)) and (action := found[0]) and (to := found[1]) is not None
                ]
            elif found := _verdict({word: value}):
                return [Rule(_all(matches), *found)]
            elif word not in _PASSIVE:
                if word == "xt" and value and value.get("type") == "target":
                    continue  # LOG and the like
                matches.append(_unknown)
    return []


def _verdict(expression: Mapping[str, Any]) -> tuple[Action, str] | None:
    for word, value in expression.items():
        if action := _VERDICTS.get(word):
            return action, value["target"] if action in ("jump", "goto") else ""
        if word == "xt" and value and (action := _TARGETS.get(str(value.get("name")))):
            return action, ""
    return None


def _entries(data: object, sets: Mapping[str, Any]) -> list[Any]:
    if isinstance(data, dict):
        return list(data.get("set", []))
    return list(sets.get(str(data).removeprefix("@"), []))


def _all(matches: Sequence[Match]) -> Match:
    held = tuple(matches)
    return lambda port: both(*(match(port) for match in held))


def _unknown(_: int) -> None:
    return None


def _match(match: Mapping[str, Any], sets: Mapping[str, Any], interface: str) -> Match:
    return _compared(match["left"], match["op"], match["right"], sets, interface)


def _compared(left: Any, op: str, right: Any, sets: Mapping[str, Any], interface: str) -> Match:
    kind, about = next(iter(left.items())) if isinstance(left, dict) else ("", {})
    about = about if isinstance(about, dict) else {}
    key = about.get("key") or about.get("field")
    match kind, about.get("protocol"), key:
        case "payload", "udp" | "th", "dport":
            return lambda port: _ordered(port, op, right, sets)
        case "payload", "udp" | "th", _:
            return _unknown
        case "payload", "ip", "saddr":
            return lambda port: op == "!="  # the caller is a stranger
        case "payload", "ip" | "ip6" | "ether" | None, _:
            return _unknown if about.get("protocol") != "ip6" else (lambda port: False)
        case "payload", _, _:
            return lambda port: False  # another protocol
        case "meta", _, "l4proto":
            return lambda port: _negated(op, _among("udp", right, sets))
        case "meta", _, "nfproto":
            return lambda port: _negated(op, _among("ipv4", right, sets))
        case "meta", _, "iif" | "iifname":
            return lambda port: _negated(op, _among(interface, right, sets))
        case "ct", _, "state":
            return lambda port: _negated(op, _among("new", right, sets))
        case "ct", _, "status":
            return lambda port: op == "!="
        case "fib", _, _:
            return lambda port: _negated(op, _among("local", right, sets)) if about.get("result") == "type" else None
    return _unknown


def _negated(op: str, found: bool | None) -> bool | None:
    return found if found is None or op != "!=" else not found


def _ordered(port: int, op: str, right: Any, sets: Mapping[str, Any]) -> bool | None:
    if op in ("<", ">", "<=", ">=") and isinstance(right, int):
        return {"<": port < right, ">": port > right, "<=": port <= right, ">=": port >= right}[op]
    return _negated(op, _among(port, right, sets))


def _among(value: int | str, right: Any, sets: Mapping[str, Any]) -> bool | None:
    """Whether `value` is `right`, in its range, or one of its elements."""
    if isinstance(right, str) and right.startswith("@"):
        return any(_among(value, one, sets) for one in sets.get(right[1:], []))
    if isinstance(right, str) and right.endswith("*") and isinstance(value, str):
        return value.startswith(right[:-1])
    if isinstance(right, (int, str)):
        return value == right
    if isinstance(right, list):
        return any(_among(value, one, sets) for one in right)
    if isinstance(right, dict):
        if "set" in right:
            return any(_among(value, one, sets) for one in right["set"])
        if "range" in right:
            low, high = right["range"]
            return isinstance(value, int) and low <= value <= high
        if "elem" in right:
            return _among(value, right["elem"].get("val"), sets)
    return None
