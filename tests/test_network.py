"""Every need against every kind of offer: the space is small enough to walk through whole."""

import re
from dataclasses import replace
from itertools import product

import pytest

from voicedeploy.network import (
    BoundUdp,
    DialsOut,
    Known,
    LeadsElsewhere,
    Need,
    NoUdp,
    Offer,
    OpenUdp,
    ServesHttp,
    ServesMedia,
    Transport,
    UdpIn,
    every_need,
    need,
    obstacle,
    verdict,
)

UDP_IN: tuple[UdpIn, ...] = (
    NoUdp("ports are HTTP over TCP"),
    BoundUdp("20000-20015", "10.0.0.7", "only on a paid address"),
    BoundUdp("20000-20015", "10.0.0.7", "only on a paid address", ready=True),
    BoundUdp("20000-20015", "10.0.0.7", "only on a paid address", ready=True, unproven="nobody has seen it"),
    *(OpenUdp("20000-20015", address) for address in ("nic", "nat", "varies", "lan")),
)
OFFERS = [
    Offer(udp_in, out, out_reason, http, websocket, http_reason, relay, closed)
    for udp_in, out, out_reason, http, websocket, http_reason, relay, closed in product(
        UDP_IN, Known, ("", "it is dropped"), Known, Known, ("", "TCP goes to one socket"), (False, True),
        ("", "it runs assistants, not bots"),
    )
]  # fmt: skip
NEEDS: tuple[Need, ...] = tuple({wanted for _, _, wanted in every_need()})


def test_every_transport_has_a_need() -> None:
    assert {transport: need(transport) for transport in Transport} == {
        Transport.WEBRTC: ServesMedia(relay=False),
        Transport.DAILY: DialsOut(tcp_fallback=False),
        Transport.LIVEKIT: DialsOut(tcp_fallback=True),
        Transport.WEBSOCKET: ServesHttp(),
        Transport.TWILIO: ServesHttp(),
        Transport.TELNYX: ServesHttp(),
        Transport.PLIVO: ServesHttp(),
        Transport.EXOTEL: ServesHttp(),
    }
    assert need(Transport.WEBRTC, relay=True) == ServesMedia(relay=True)


def test_a_relay_makes_a_difference_to_webrtc_only() -> None:
    assert [transport for transport, relay, _ in every_need() if relay] == [Transport.WEBRTC]
    assert len(list(every_need())) == len(Transport) + 1


def test_obstacle_and_verdict_agree_everywhere() -> None:
    for wanted, offer in product(NEEDS, OFFERS):
        found = verdict(wanted, offer)
        assert obstacle(wanted, offer) == (found.reason if found.word == "no" else "")


def test_every_verdict_is_a_sentence() -> None:
    for wanted, offer in product(NEEDS, OFFERS):
        found = verdict(wanted, offer)
        for text in filter(None, (found.reason, found.warning, found.unproven)):
            assert text[0].isupper() and text.endswith(".") and not text.endswith(".."), text
            assert "  " not in text and "()" not in text and ": ." not in text, text


def test_a_refusal_on_the_udp_layer_says_udp_and_gives_the_targets_own_reason() -> None:
    for wanted, offer in product(NEEDS, OFFERS):
        found = verdict(wanted, offer)
        if found.word != "no":
            continue
        match found.layer:
            case "udp-in":
                assert "UDP" in found.reason
                assert isinstance(offer.udp_in, NoUdp | BoundUdp)
                why = offer.udp_in.reason if isinstance(offer.udp_in, NoUdp) else offer.udp_in.conditions
                assert why in found.reason
            case "udp-out":
                assert "UDP" in found.reason and offer.udp_out_reason in found.reason
            case "http":
                assert "gets in" in found.reason and offer.http_reason in found.reason
            case "hosting":
                assert offer.closed and offer.closed in found.reason


def test_what_nobody_has_seen_is_said_where_it_is_what_carries_the_call() -> None:
    for wanted, offer in product(NEEDS, OFFERS):
        found = verdict(wanted, offer)
        unseen = isinstance(offer.udp_in, BoundUdp) and offer.udp_in.unproven
        assert bool(found.unproven) == bool(unseen and (found.word, found.layer) == ("direct", "udp-in"))


def test_what_is_unknown_is_a_warning_and_never_a_refusal() -> None:
    for offer in OFFERS:
        known = replace(
            offer,
            udp_out=Known.YES if offer.udp_out is Known.UNKNOWN else offer.udp_out,
            http=Known.YES if offer.http is Known.UNKNOWN else offer.http,
            websocket=Known.YES if offer.websocket is Known.UNKNOWN else offer.websocket,
        )
        for wanted in NEEDS:
            found, sure = verdict(wanted, offer), verdict(wanted, known)
            assert (found.word == "no") == (sure.word == "no")
            if found.word != "no" and offer.udp_out is Known.UNKNOWN and isinstance(wanted, DialsOut):
                assert "UDP" in found.warning and "call" in found.warning


def test_a_target_that_carries_more_never_refuses_more() -> None:
    def better(offer: Offer) -> list[Offer]:
        return [
            replace(offer, closed=""),
            replace(offer, relay=True),
            replace(offer, http=Known.YES),
            replace(offer, websocket=Known.YES),
            replace(offer, udp_out=Known.YES),
            *(replace(offer, udp_in=udp_in) for udp_in in UDP_IN[2:]),
        ]

    for offer in OFFERS:
        for wanted in NEEDS:
            if not obstacle(wanted, offer):
                assert not [more for more in better(offer) if obstacle(wanted, more)]


def test_a_relay_in_the_spec_never_refuses_more() -> None:
    for offer in OFFERS:
        if obstacle(ServesMedia(relay=True), offer):
            assert obstacle(ServesMedia(relay=False), offer)


def test_a_websocket_asks_nothing_of_udp() -> None:
    for offer, udp_in, out in product(OFFERS[::7], UDP_IN, Known):
        changed = replace(offer, udp_in=udp_in, udp_out=out)
        assert verdict(ServesHttp(), changed) == verdict(ServesHttp(), offer)


def test_dialling_out_asks_nothing_of_what_comes_in() -> None:
    for offer, udp_in, http in product(OFFERS[::7], UDP_IN, Known):
        changed = replace(offer, udp_in=udp_in, http=http, websocket=http)
        assert verdict(DialsOut(), changed) == verdict(DialsOut(), offer)


@pytest.mark.parametrize(
    ("wanted", "offer", "word", "says"),
    [
        (ServesMedia(), Offer(OpenUdp("20000-20015")), "direct", "20000-20015"),
        (ServesMedia(), Offer(OpenUdp("a range", "nat")), "direct", "announces"),
        (ServesMedia(), Offer(OpenUdp("any port", "lan")), "direct", "same network only"),
        (ServesMedia(), Offer(NoUdp("a NAT drops it")), "no", "UDP does not get in: a NAT drops it."),
        (ServesMedia(relay=True), Offer(NoUdp("a NAT drops it")), "relay", "TURN relay."),
        (ServesMedia(relay=True), Offer(NoUdp("no"), udp_out=Known.NO), "relay", "over TLS"),
        (ServesMedia(), Offer(NoUdp("no"), relay=True), "relay", "brings its own relay"),
        (ServesMedia(relay=True), Offer(NoUdp("no"), http=Known.NO), "no", "set up over HTTP"),
        (ServesMedia(), Offer(BoundUdp("20000", "", "a paid address")), "no", "a paid address"),
        (ServesMedia(), Offer(BoundUdp("20000", "", "a paid address", ready=True)), "direct", "20000"),
        (DialsOut(), Offer(NoUdp("no")), "dial-out", "dials out"),
        (DialsOut(), Offer(NoUdp("no"), udp_out=Known.NO), "no", "nobody would hear it"),
        (DialsOut(tcp_fallback=True), Offer(NoUdp("no"), udp_out=Known.NO), "tcp", "TCP fallback"),
        (LeadsElsewhere(), Offer(NoUdp("no"), udp_out=Known.NO), "tcp", "the platform that the bots run on"),
        (LeadsElsewhere(), Offer(OpenUdp("20000"), http=Known.NO), "no", "Calls begin over HTTP, and none gets in"),
        (ServesHttp(), Offer(NoUdp("no"), udp_out=Known.NO), "tcp", "no UDP is needed"),
        (ServesHttp(), Offer(OpenUdp("20000"), websocket=Known.NO), "no", "WebSocket"),
    ],
)
def test_the_cases_people_meet(wanted: Need | LeadsElsewhere, offer: Offer, word: str, says: str) -> None:
    found = verdict(wanted, offer)
    assert (found.word, says in found.reason) == (word, True), found


def test_no_vendor_is_named() -> None:
    for wanted, offer in product(NEEDS, OFFERS[::5]):
        found = verdict(wanted, offer)
        assert not re.search(r"fly|cloud|google|amazon|azure|daily|livekit|twilio", found.reason, re.I)
