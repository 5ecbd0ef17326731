"""A target in words: one sentence, a page of text, a line of the table, an object of JSON."""

import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from voicedeploy.network import Transport, Verdict
from voicedeploy.targets.refusal import any_of, elsewhere, here, quoted
from voicedeploy.targets.row import MARKS, Evidence, Target, offer, verdicts, works

Line = tuple[str, str, str]
"""A label, a word, and a text that may be empty."""


@dataclass(frozen=True)
class Explanation:
    """What `voicedeploy targets NAME` tells."""

    target: Target
    headline: str
    packets: tuple[Line, ...]
    transports: tuple[Line, ...]
    instead: tuple[str, ...]
    limits: tuple[Line, ...]
    evidence: tuple[Evidence, ...]

    def lines(self, width: int = 100) -> list[str]:
        """The whole text, wrapped; no markup, no colour."""
        row = self.target
        out = [f"{row.name} · {row.title} · as of {row.as_of}", "", *_wrapped(self.headline, width)]
        out += _wrapped(row.note, width) if row.note else []
        out += ["", "packets", *_columns(self.packets, width)]
        out += ["", "transports", *_columns(self.transports, width)]
        if self.instead:
            out += ["", "instead"]
            for way in self.instead:
                out += [f"  {line}" for line in _wrapped(way, width - 2)]
        out += ["", "limits", *_columns(self.limits, width)]
        facts = [(MARKS[fact.mark], fact.date, f"{fact.where}: {fact.says}") for fact in self.evidence]
        return [*out, "", "evidence", *_columns(facts, width)]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _columns(lines: Sequence[Line], width: int) -> list[str]:
    first = max(len(label) for label, _, _ in lines)
    second = max(len(word) for _, word, _ in lines)
    out: list[str] = []
    for label, word, text in lines:
        head = f"  {label:<{first}}  {word:<{second}}  "
        for index, line in enumerate(_wrapped(text, width - len(head)) or [""]):
            out.append(f"{' ' * len(head) if index else head}{line}".rstrip())
    return out


def explain(row: Target) -> Explanation:
    return Explanation(
        target=row,
        headline=headline(row),
        packets=(
            ("UDP in", row.inbound, row.udp_in_text),
            ("UDP out", row.udp_out, row.udp_out_text),
            ("WebSocket", row.websocket, row.http_text),
            ("ports", row.ports, ""),
            ("public address", row.public_ip, _ADDRESS[row.public_ip]),
        ),
        transports=tuple(_transports(row)),
        instead=tuple(_instead(row)),
        limits=(
            ("one call", row.session_limit, row.session_text),
            ("a deploy", row.drain_limit, row.drain_text),
            ("scale to zero", row.scale_zero, ""),
            ("kept warm by", "" if row.warm else "-", row.warm),
            ("GPU", row.gpu, ""),
        ),
        evidence=row.evidence,
    )


_ADDRESS = {
    "nic": "on the machine itself: no STUN server is needed",
    "nat": "translated: the bot must announce it",
    "anycast": "shared by the platform's edge",
    "varies": "the node's",
    "lan": "callers on the same network only",
    "none": "",
    "unknown": "",
}


def headline(row: Target) -> str:
    """The row in one sentence: what to use there."""
    if row.closed:
        return f"{row.title} does not host a Pipecat bot: {row.closed}."
    found = verdicts(row)
    media, rooms, phone = found[Transport.WEBRTC], found[Transport.DAILY], found[Transport.WEBSOCKET]
    if phone.word == "no":
        unsure = ", if UDP gets out" if rooms.warning else ""
        return f"{row.title} takes nothing in: only transports that dial out to a room work{unsure}."
    limit = row.websocket_limit_s
    sockets = "websocket or phone transports" + (f" (calls up to {limit // 60} min)" if isinstance(limit, int) else "")
    rooms_text = "rooms once a call has proven them" if rooms.warning else "rooms"
    if media.word == "direct":
        who = "callers on the same network" if row.public_ip == "lan" else "callers anywhere"
        return f"{row.title} lets UDP in: use webrtc, which goes direct to {who}, {sockets}, or {rooms_text}."
    if media.word == "relay":
        return f"{row.title} carries WebRTC through a relay of its own: use webrtc, rooms, {sockets}."
    if rooms.word == "no":
        return f"{row.title} carries TCP only for media: use {sockets} or WebRTC through TURN over TLS."
    if rooms.warning:
        conditions = "lets UDP in only under conditions" if row.udp_in == "bound" else "does not let UDP in"
        return (
            f"{row.title} {conditions}, and whether it lets UDP out is unknown: use {sockets}, "
            f"WebRTC through TURN over TLS, or {rooms_text}."
        )
    way = "in only under conditions" if row.udp_in == "bound" else "out but not in"
    return f"{row.title} lets UDP {way}: use rooms, {sockets}, or WebRTC through a TURN relay."


def _transports(row: Target) -> Iterator[Line]:
    plain = verdicts(row)
    cases = [(transport.value, found) for transport, found in plain.items()]
    relayed = verdicts(row, relay=True)[Transport.WEBRTC]
    if relayed.word != plain[Transport.WEBRTC].word:
        cases.insert(1, ("webrtc with TURN", relayed))
    for found, group in groupby(cases, key=lambda case: case[1]):
        names = [name for name, _ in group]
        yield names[0], found.word, f"{found.reason} {found.warning}".rstrip()
        for name in names[1:]:
            yield name, found.word, ""


def _instead(row: Target) -> Iterator[str]:
    """The ways out of all refusals at once, each said a single time."""
    refused = [transport for transport, found in verdicts(row).items() if found.word == "no"]
    ways = [way for transport in refused for way in here(row, transport, offer(row))]
    yield from dict.fromkeys(ways)
    for places, group in groupby(sorted(refused, key=lambda t: any_of(elsewhere(t))), key=elsewhere):
        yield f"{quoted(group)} on {any_of(places)}"


COLUMNS = (
    "target",
    "provider",
    "UDP in",
    "UDP out",
    "webrtc",
    "rooms",
    "phone, ws",
    "one call",
    "a deploy",
    "as of",
)


def table(rows: Sequence[Target], installed: Collection[str]) -> list[tuple[str, ...]]:
    """A line for each row under `COLUMNS`. `installed`: names of the providers that are there."""
    return [_line(row, installed) for row in rows]


def _line(row: Target, installed: Collection[str]) -> tuple[str, ...]:
    found = verdicts(row)
    webrtc = _word(found[Transport.WEBRTC])
    if webrtc == "no" and verdicts(row, relay=True)[Transport.WEBRTC].word == "relay":
        webrtc = "with TURN"
    return (
        row.name,
        ", ".join(name for name in row.providers if name in installed) or "-",
        row.inbound,
        row.udp_out,
        webrtc,
        _word(found[Transport.DAILY]),
        _word(found[Transport.TWILIO]),
        row.session_limit,
        row.drain_limit,
        row.as_of,
    )


def _word(found: Verdict) -> str:
    """With a question mark where only a call can tell."""
    return f"{found.word}{'?' if found.warning else ''}"


def to_json(rows: Sequence[Target], installed: Collection[str]) -> dict[str, Any]:
    """`targets --json`. `transports` are those that work without a relay."""
    return {
        "targets": [
            {
                "name": row.name,
                "provider": any(name in installed for name in row.providers),
                "inbound_udp": row.inbound,
                "outbound_udp": row.udp_out.value,
                "port_model": row.ports,
                "websocket": row.websocket.value,
                "session_limit": row.session_limit,
                "drain_limit": row.drain_limit,
                "transports": [transport.value for transport in works(row)],
                "note": " ".join(filter(None, (headline(row), row.note))),
                "evidence": [fact.model_dump() for fact in row.evidence],
                "as_of": row.as_of,
            }
            for row in rows
        ]
    }
