"""Why a transport cannot be used at a target, on what that rests, and what works instead."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from voicedeploy.network import BoundUdp, Known, NoUdp, Offer, OpenUdp, Transport, Verdict, need, verdict
from voicedeploy.targets.row import MARKS, Evidence, Target, load, offer, works

_INBOUND = {NoUdp: "no", BoundUdp: "conditional", OpenUdp: "yes"}
_LAYERS = {"hosting": "hosting", "http": "HTTP in (TCP)", "udp-in": "UDP in", "udp-out": "UDP out"}


@dataclass(frozen=True)
class Refusal:
    """`instead` is never empty; each entry is one thing that works. `offer` is the one that was judged."""

    target: Target
    transport: Transport
    verdict: Verdict
    offer: Offer
    instead: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        """The row's first one: the file puts the evidence about packets first. Where the target itself was looked at,
        that is the evidence."""
        if self.offer == offer(self.target):
            return self.target.evidence[0]
        today = datetime.now(UTC).date().isoformat()
        return Evidence(mark="ran", where="voicedeploy", date=today, says="looked at there, just now")

    def because(self) -> list[str]:
        """The layer that decides, and on what that rests."""
        fact = self.evidence
        inbound = self.target.inbound if self.offer == offer(self.target) else _INBOUND[type(self.offer.udp_in)]
        return [
            f"layer: {_LAYERS[self.verdict.layer]} · UDP in: {inbound} · UDP out: {self.offer.udp_out}",
            f"{MARKS[fact.mark]} {fact.date}, {fact.where}: {fact.says}",
        ]

    def lines(self) -> list[str]:
        return [
            f"{self.transport} cannot reach a bot on {self.target.title}. {self.verdict.reason}",
            *self.because(),
            *(f"instead: {way}" for way in self.instead),
        ]


def refusal(row: Target, transport: Transport, relay: bool = False, offered: Offer | None = None) -> Refusal | None:
    """None if nothing stands in the way.

    `relay`: a TURN server is configured. `offered` is what a provider knows better than the row, such as a
    port that was opened since.
    """
    offered = offered or offer(row)
    found = verdict(need(transport, relay), offered)
    if found.word != "no":
        return None
    ways = (*here(row, transport, offered), *(f"`{transport}` on {any_of(elsewhere(transport))}",))
    return Refusal(row, transport, found, offered, ways)


def here(row: Target, refused: Transport, offered: Offer) -> Iterator[str]:
    """What works at the same target: other transports, and `refused` itself through a relay."""
    found = {transport: verdict(need(transport), offered) for transport in Transport}
    certain = [transport for transport, v in found.items() if v.word != "no" and not v.warning]
    if certain:
        yield f"{quoted(certain)} on {row.name}"
    if verdict(need(refused, relay=True), offered).word == "relay":
        tls = "" if offered.udp_out is Known.YES else " over TLS"
        yield f"`{refused}` on {row.name} through a TURN relay{tls}: set `transport.turn`"
    if row.opt_in and found[refused].layer == "udp-in":
        yield f"`{refused}` on {row.name} direct, which nobody has proven there: `{row.opt_in}`"


def elsewhere(transport: Transport) -> list[str]:
    """Up to five targets that carry it, one for each provider; not this machine, which is nobody's server."""
    found: dict[str, str] = {}
    for row in load():
        if row.providers and row.public_ip != "lan" and transport in works(row):
            found.setdefault(row.providers[0], row.name)
    return list(found.values())[:5]


def any_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def quoted(transports: Iterable[Transport]) -> str:
    return any_of([f"`{transport}`" for transport in transports])
