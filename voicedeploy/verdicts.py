"""The verdict on a target as a finding: why a transport is refused, on what that rests, what works instead.

A `no` that comes from packets may be overruled by whoever has tried it; then a call must prove it.
"""

from dataclasses import dataclass

from voicedeploy import targets
from voicedeploy.errors import UsageError
from voicedeploy.network import BoundUdp, Offer, Transport, Verdict
from voicedeploy.provider import Finding

OVERRIDE = "--i-tested-udp"


@dataclass(frozen=True)
class Refused:
    """`because` are the lines after the verdict's own reason: the layer, and the evidence with its date."""

    because: tuple[str, ...]
    instead: tuple[str, ...]


def refused(provider: str, transport: Transport, relay: bool, offer: Offer, verdict: Verdict) -> Refused | None:
    """None where nothing is refused. A third party's provider has no row in the table, so no evidence."""
    if verdict.word != "no":
        return None
    try:
        refusal = targets.refusal(targets.find(provider), transport, relay, offer)
    except UsageError:
        refusal = None
    if refusal is None:
        layer = f"layer: {verdict.layer} · seen by the provider {provider}"
        return Refused((layer,), ("choose another transport, another target, or set `transport.turn`",))
    return Refused(tuple(refusal.because()), refusal.instead)


def of_packets(verdict: Verdict) -> bool:
    """Whether it is about UDP, and not about whether there is a bot or a way in for HTTP."""
    return verdict.layer in ("udp-in", "udp-out")


def unproven(verdict: Verdict) -> Finding | None:
    """What was set up though nobody has seen it work there."""
    if not verdict.unproven:
        return None
    fix = "`up` ends with that call, and `voicedeploy call` makes more; `transport.turn` needs none of it"
    return Finding("VD116", "warning", "packets", f"{verdict.unproven} A call must prove it", fix)


def finding(offer: Offer, verdict: Verdict, why: Refused, *, tested: bool) -> Finding:
    """`tested`: somebody answers for UDP."""
    message = " ".join((verdict.reason, *(f"({line})" for line in why.because)))
    fix = "; or ".join(why.instead)
    if tested and of_packets(verdict):
        proof = (
            "a call must prove it"
            if verdict.layer == "udp-in"
            else "`up` shows that the bot joins its room, and only somebody in the room can tell whether it is heard"
        )
        said = f"{verdict.reason} {OVERRIDE} overrules that: {proof}"
        return Finding("VD114", "warning", "packets", said, fix)
    match verdict.layer:
        case "udp-in" if isinstance(offer.udp_in, BoundUdp):
            return Finding("VD111", "error", "packets", message, fix, about_packets=True)
        case "udp-in" | "udp-out":
            return Finding("VD110", "error", "packets", message, fix, about_packets=True)
        case "http":
            return Finding("VD112", "error", "packets", message, fix)
        case "hosting":
            return Finding("VD113", "error", "packets", message, fix)
