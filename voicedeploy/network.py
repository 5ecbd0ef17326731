"""What a transport needs of the network, what a target offers, and the one place where the two meet.

A transport is one of three kinds of need: it dials out to a room (`DialsOut`), it is dialled over HTTP
(`ServesHttp`), or packets of media must reach it (`ServesMedia`). An `Offer` says what gets in and out at
a target. `verdict` is the only function that compares them; `obstacle` is its refusal, or "".

Facts about vendors are data (`voicedeploy.targets`); none of them is known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Literal, assert_never


class Transport(StrEnum):
    """The ways to a bot, by Pipecat's own keys."""

    WEBRTC = "webrtc"
    DAILY = "daily"
    LIVEKIT = "livekit"
    WEBSOCKET = "websocket"
    TWILIO = "twilio"
    TELNYX = "telnyx"
    PLIVO = "plivo"
    EXOTEL = "exotel"


class Known(StrEnum):
    """An answer that may be missing: `UNKNOWN` means that nobody documents it and nobody has measured it."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


# --- what a transport needs -------------------------------------------------------------------------


@dataclass(frozen=True)
class DialsOut:
    """The bot joins a room elsewhere: nothing comes in, media leaves as UDP.

    `tcp_fallback`: the room's server can take media over TCP or TLS instead, if it is set up for it.
    """

    tcp_fallback: bool = False


@dataclass(frozen=True)
class ServesHttp:
    """The bot is called over one inbound WebSocket, which also carries the sound: no UDP anywhere."""


@dataclass(frozen=True)
class ServesMedia:
    """The bot is called over HTTP and then sent media packets: UDP must get in, or meet at a relay.

    `relay`: a TURN server is configured.
    """

    relay: bool = False


@dataclass(frozen=True)
class LeadsElsewhere:
    """Calls begin here over HTTP, and their sound goes to another platform, whatever the transport."""


Need = DialsOut | ServesHttp | ServesMedia


def need(transport: Transport, relay: bool = False) -> Need:
    """`relay`: a TURN server is configured; it matters to the transports that are sent media packets."""
    match transport:
        case Transport.WEBRTC:
            return ServesMedia(relay)
        case Transport.DAILY:
            return DialsOut()
        case Transport.LIVEKIT:
            return DialsOut(tcp_fallback=True)
        case Transport.WEBSOCKET | Transport.TWILIO | Transport.TELNYX | Transport.PLIVO | Transport.EXOTEL:
            return ServesHttp()
        case _:
            assert_never(transport)


def receives_media(transport: Transport) -> bool:
    """Whether packets of callers must reach the bot: only then are UDP ports its business."""
    return isinstance(need(transport), ServesMedia)


# --- what a target offers ---------------------------------------------------------------------------


@dataclass(frozen=True)
class NoUdp:
    """No UDP from outside reaches the bot. `reason` completes a sentence: "ports are HTTP over TCP"."""

    reason: str


@dataclass(frozen=True)
class OpenUdp:
    """UDP reaches the bot on `ports`: figures ("20000-20015") or words ("a range that you open").

    `address` says where the public address is: on the machine (`nic`), translated one to one or by port
    (`nat`: the bot must announce it), different from node to node (`varies`), or nowhere (`lan`: only
    callers on the same network).
    """

    ports: str
    address: Literal["nic", "nat", "varies", "lan"] = "nic"


@dataclass(frozen=True)
class BoundUdp:
    """UDP reaches the bot only under conditions, which `conditions` tells in words.

    `bind` is the local address that must be bound ("" = any). `ready` is true once the conditions are met;
    until then it counts as closed. `unproven`: what nobody has seen of it yet ("" = nothing); a call must prove it.
    """

    ports: str
    bind: str
    conditions: str
    ready: bool = False
    unproven: str = ""


UdpIn = NoUdp | OpenUdp | BoundUdp


@dataclass(frozen=True)
class Offer:
    """What the network at a target carries.

    The `…_reason` strings complete a sentence and are read by users. `relay`: the target brings a TURN
    server of its own. `closed`: why no bot runs there at all; "" for nearly every target.
    """

    udp_in: UdpIn
    udp_out: Known = Known.YES
    udp_out_reason: str = ""
    http: Known = Known.YES
    websocket: Known = Known.YES
    http_reason: str = ""
    relay: bool = False
    closed: str = ""


# --- where they meet --------------------------------------------------------------------------------

Word = Literal["direct", "dial-out", "relay", "tcp", "no"]
Layer = Literal["hosting", "http", "udp-in", "udp-out"]


@dataclass(frozen=True)
class Verdict:
    """How a transport gets through at a target.

    `word`: `direct` packets reach the bot · `dial-out` the bot goes to them · `relay` they meet at a TURN
    server · `tcp` everything goes over TCP · `no`. `layer` is the one that decided, `reason` the sentence
    that a user reads (never empty), `warning` what nobody knows yet and a probe must answer ("" = nothing), `unproven`
    what was set up all the same and must be proved by a call before it counts.
    """

    word: Word
    layer: Layer
    reason: str
    warning: str = ""
    unproven: str = ""


def obstacle(need: Need | LeadsElsewhere, offer: Offer) -> str:
    """The sentence that refuses, or "" if there is no obstacle."""
    found = verdict(need, offer)
    return found.reason if found.word == "no" else ""


def verdict(need: Need | LeadsElsewhere, offer: Offer) -> Verdict:
    if offer.closed:
        return Verdict("no", "hosting", _sentence(f"no bot runs there: {offer.closed}"))
    match need:
        case LeadsElsewhere():
            return _leads(offer)
        case ServesHttp():
            return _called(offer)
        case DialsOut():
            return _dials(need, offer)
        case ServesMedia():
            return _receives(need, offer)
        case _:
            assert_never(need)


def _leads(offer: Offer) -> Verdict:
    if offer.http is Known.NO:
        why = offer.http_reason or "the target takes no HTTP"
        return Verdict("no", "http", _sentence(f"calls begin over HTTP, and none gets in: {why}"))
    return Verdict("tcp", "http", "Calls begin here over HTTP; their sound goes to the platform that the bots run on.")


def _called(offer: Offer) -> Verdict:
    if Known.NO in (offer.http, offer.websocket):
        why = offer.http_reason or "the target takes no WebSocket"
        return Verdict("no", "http", _sentence(f"the sound comes over a WebSocket, and none gets in: {why}"))
    reason = "Signalling and sound go over one WebSocket on TCP; no UDP is needed."
    if Known.UNKNOWN in (offer.http, offer.websocket):
        return Verdict("tcp", "http", reason, _sentence(_unsure("a WebSocket gets in", offer.http_reason)))
    return Verdict("tcp", "http", reason)


def _dials(need: DialsOut, offer: Offer) -> Verdict:
    match offer.udp_out:
        case Known.YES:
            return Verdict("dial-out", "udp-out", "The bot dials out to the room; UDP gets out, none need come in.")
        case Known.UNKNOWN:
            return Verdict(
                "dial-out",
                "udp-out",
                "The bot dials out to the room; that needs outbound UDP.",
                _sentence(_unsure("UDP gets out", offer.udp_out_reason)),
            )
        case Known.NO if need.tcp_fallback:
            return Verdict(
                "tcp",
                "udp-out",
                _sentence(f"UDP does not get out{_because(offer.udp_out_reason)}; the room's TCP fallback is left"),
                "Works only if the room's server offers media over TCP or TLS; prove it with a call.",
            )
        case Known.NO:
            return Verdict(
                "no",
                "udp-out",
                _sentence(
                    "the bot would join the room and nobody would hear it: its sound leaves as UDP, "
                    f"and UDP does not get out{_because(offer.udp_out_reason)}"
                ),
            )
        case _:
            assert_never(offer.udp_out)


def _receives(need: ServesMedia, offer: Offer) -> Verdict:
    if offer.http is Known.NO:
        why = offer.http_reason or "the target takes no HTTP"
        return Verdict("no", "http", _sentence(f"the call is set up over HTTP, and none gets in: {why}"))
    warning = _sentence(_unsure("HTTP gets in", offer.http_reason)) if offer.http is Known.UNKNOWN else ""
    match offer.udp_in:
        case OpenUdp(ports, address):
            return Verdict("direct", "udp-in", _direct(ports, address), warning)
        case BoundUdp(ports=ports, conditions=why, ready=True, unproven=unproven):
            reason = _sentence(f"UDP gets in on {ports}{_because(why)}")
            return Verdict("direct", "udp-in", reason, warning, _sentence(unproven) if unproven else "")
        case BoundUdp(conditions=why):
            closed = f"UDP gets in only under conditions: {why}"
        case NoUdp(why):
            closed = f"UDP does not get in: {why}"
        case _:
            assert_never(offer.udp_in)
    if need.relay or offer.relay:
        return Verdict("relay", "udp-in", _sentence(f"{closed}; {_through_relay(need, offer)}"), warning)
    return Verdict("no", "udp-in", _sentence(f"the sound comes as UDP packets, and {closed}"))


def _direct(ports: str, address: Literal["nic", "nat", "varies", "lan"]) -> str:
    match address:
        case "nic":
            return _sentence(f"UDP gets in on {ports}, at an address that the machine itself holds")
        case "nat":
            return _sentence(f"UDP gets in on {ports}; the public address is translated, so the bot announces it")
        case "varies":
            return _sentence(f"UDP gets in on {ports}, at the public address of the node that runs the bot")
        case "lan":
            return _sentence(f"UDP gets in on {ports}, from callers on the same network only")
        case _:
            assert_never(address)


def _through_relay(need: ServesMedia, offer: Offer) -> str:
    if offer.udp_out is Known.YES:
        return "the target brings its own relay" if not need.relay else "both sides meet at the TURN relay"
    return "both sides meet at the TURN relay, which the bot must reach over TLS (list `turns:` first)"


def _unsure(claim: str, why: str) -> str:
    return f"nobody knows whether {claim}{_because(why)}; prove it with a call"


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def every_need() -> Iterator[tuple[Transport, bool, Need]]:
    """Each transport without and with a relay, where a relay makes a difference."""
    for transport, relay in product(Transport, (False, True)):
        wanted = need(transport, relay)
        if not relay or wanted != need(transport, False):
            yield transport, relay, wanted
