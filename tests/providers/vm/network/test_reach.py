import dataclasses

import pytest
from voicedeploy_providers.vm.network.firewall import Firewall
from voicedeploy_providers.vm.network.looking import Local, Mapped, Seen
from voicedeploy_providers.vm.network.probing import Reached
from voicedeploy_providers.vm.network.reach import (
    Heard,
    Settings,
    advise,
    notes,
    predict,
    sample,
    udp_in,
    where_to_try,
)

from voicedeploy.network import BoundUdp, NoUdp, Offer, OpenUdp, ServesMedia, verdict

RANGE = tuple(range(20000, 20016))
SAMPLE = sample((32768, 60999))
OPEN = Firewall("ufw", "open")
CLOSED = Firewall("ufw", "closed", RANGE, "ufw allow 20000:20015/udp")
PIN = Settings("20000-20015")
STUN = ("stun:stun.example.org",)
PUBLIC = "198.51.100.20"

ON_NIC = Seen(Mapped.ON_NIC, PUBLIC, PUBLIC, "eth0", "198.51.100.1", addresses=(Local("eth0", PUBLIC, 24),))
HOME = Seen(
    Mapped.PORT_KEPT, "192.168.1.10", PUBLIC, "eth0", "192.168.1.1", addresses=(Local("eth0", "192.168.1.10", 24),)
)
CARRIER = dataclasses.replace(HOME, mapped=Mapped.SYMMETRIC)
TAILNET = dataclasses.replace(CARRIER, outward="100.70.1.2", addresses=(Local("eth0", "100.70.1.2", 24),))
BLOCKED = dataclasses.replace(HOME, mapped=Mapped.BLOCKED, public="", silent=("stun.example.org:3478",))


def reached(*answered: int, address: str = PUBLIC, busy: tuple[int, ...] = ()) -> Reached:
    asked = tuple(port for port in (*RANGE, *SAMPLE) if port not in busy)
    return Reached(address, asked, answered, busy, "198.51.100.3" if answered else "")


ALL, FORWARDED, NONE = reached(*RANGE, *SAMPLE), reached(*RANGE), reached()


def with_(settings: Settings = PIN, *, public_ip: str = "", stun: bool = False, turn: tuple[str, ...] = ()) -> Settings:
    return dataclasses.replace(settings, public_ip=public_ip, stun=STUN if stun else (), turn=turn)


STOCK = Settings()


@pytest.mark.parametrize(
    ("seen", "tried", "settings", "heard"),
    [
        # The rows of the matrix that tests/lab/test_nat.py tries with calls.
        (ON_NIC, ALL, STOCK, Heard.EVERYBODY),
        (ON_NIC, FORWARDED, STOCK, Heard.ALL_BUT_SYMMETRIC),
        (ON_NIC, FORWARDED, PIN, Heard.EVERYBODY),
        (HOME, ALL, STOCK, Heard.SAME_NETWORK),
        (HOME, ALL, with_(STOCK, stun=True), Heard.EVERYBODY),
        (HOME, FORWARDED, with_(STOCK, stun=True), Heard.ALL_BUT_SYMMETRIC),
        (HOME, FORWARDED, PIN, Heard.SAME_NETWORK),
        (HOME, FORWARDED, with_(stun=True), Heard.EVERYBODY),
        (HOME, FORWARDED, with_(public_ip=PUBLIC), Heard.EVERYBODY),
        (CARRIER, FORWARDED, with_(stun=True), Heard.SAME_NETWORK),
        (CARRIER, FORWARDED, with_(public_ip=PUBLIC), Heard.EVERYBODY),
        (HOME, NONE, with_(stun=True), Heard.ALL_BUT_SYMMETRIC),
        (HOME, NONE, with_(public_ip=PUBLIC), Heard.ALL_BUT_SYMMETRIC),
        (CARRIER, NONE, with_(stun=True), Heard.SAME_NETWORK),
        (BLOCKED, NONE, with_(stun=True), Heard.SAME_NETWORK),
        (dataclasses.replace(BLOCKED, addresses=ON_NIC.addresses, outward=PUBLIC), NONE, PIN, Heard.NOBODY),
        # A router that changes the port, but the same for all: STUN tells it, `public_ip` cannot.
        (dataclasses.replace(HOME, mapped=Mapped.CONE), NONE, with_(stun=True), Heard.ALL_BUT_SYMMETRIC),
        (dataclasses.replace(HOME, mapped=Mapped.CONE), NONE, with_(public_ip=PUBLIC), Heard.SAME_NETWORK),
        # STUN servers may be down where packets get in all the same.
        (BLOCKED, FORWARDED, with_(public_ip=PUBLIC), Heard.EVERYBODY),
        (dataclasses.replace(HOME, mapped=Mapped.UNSURE), NONE, with_(stun=True), Heard.SAME_NETWORK),
    ],
)
def test_who_is_heard(seen: Seen, tried: Reached, settings: Settings, heard: Heard) -> None:
    found = predict(seen, tried, OPEN, settings)
    assert found.heard is heard
    assert found.reason
    assert bool(found.fix) == (heard is not Heard.EVERYBODY)


@pytest.mark.parametrize(
    ("seen", "tried", "firewall", "settings", "reason", "fix"),
    [
        (ON_NIC, NONE, CLOSED, PIN, "ufw on the host drops UDP 20000-20015", "ufw allow 20000:20015/udp"),
        (ON_NIC, NONE, OPEN, PIN, "does not get in, though the host holds", "firewall of the hosting company"),
        (
            dataclasses.replace(ON_NIC, hardware=("Hetzner", "vServer")), NONE, OPEN, PIN,
            "the host's own firewall is not what stops it",
            "Hetzner: open UDP 20000-20015 from anywhere in the server's firewall in the console",
        ),
        (
            HOME, NONE, OPEN, with_(public_ip=PUBLIC), "the router does not forward UDP 20000-20015 to 192.168.1.10",
            "forward UDP 20000-20015 to 192.168.1.10 on the router (192.168.1.1)",
        ),
        (HOME, reached(*RANGE[:12]), OPEN, with_(public_ip=PUBLIC), "(12 of 16 ports answer)", "forward UDP 20000-"),
        (HOME, FORWARDED, OPEN, PIN, "the bot names only 192.168.1.10 to callers", f'public_ip = "{PUBLIC}"'),
        (CARRIER, FORWARDED, OPEN, with_(stun=True), "from other ports", f'public_ip = "{PUBLIC}"'),
        (CARRIER, NONE, OPEN, with_(stun=True), "as carriers do", "transport.turn"),
        (TAILNET, NONE, OPEN, PIN, "behind a carrier's NAT (100.70.1.2)", "transport.turn"),
        (BLOCKED, NONE, OPEN, PIN, "neither in nor out: no answer from stun.example.org:3478", "?transport=tcp"),
        (HOME, FORWARDED, OPEN, with_(STOCK, stun=True), "takes any UDP port", 'udp_ports = "20000-20015"'),
        (
            HOME, reached(address="198.51.100.99"), OPEN, with_(public_ip="198.51.100.99"),
            "does not get in at 198.51.100.99; the host is seen at 198.51.100.20", f'public_ip = "{PUBLIC}"',
        ),
        (HOME, NONE, OPEN, dataclasses.replace(PIN, nets=("10.9.0.0/16",)), "leaves out every address", "192.168.1.10"),
    ],
)  # fmt: skip
def test_the_reason_and_one_fix(
    seen: Seen, tried: Reached, firewall: Firewall, settings: Settings, reason: str, fix: str
) -> None:
    found = predict(seen, tried, firewall, settings)
    assert reason in found.reason
    assert fix in found.fix
    assert "\n" not in found.fix


@pytest.mark.parametrize("seen", [HOME, CARRIER, BLOCKED])
def test_a_relay_that_answers_is_for_everybody(seen: Seen) -> None:
    url = "turn:turn.example.org?transport=tcp"
    asked = dataclasses.replace(seen, relays={url: ""})
    found = predict(asked, NONE, OPEN, with_(turn=(url,)))
    assert found.heard is Heard.EVERYBODY
    assert found.direct is Heard.SAME_NETWORK
    assert "meet at the relay" in found.reason


def test_only_the_first_relay_counts() -> None:
    first, second = "turn:turn.example.org", "turns:turn.example.org?transport=tcp"
    asked = dataclasses.replace(BLOCKED, relays={first: "no answer over UDP", second: ""})
    found = predict(asked, NONE, OPEN, with_(turn=(first, second)))
    assert found.heard is Heard.SAME_NETWORK
    assert "no answer over UDP" in found.reason
    assert "first in transport.turn" in found.fix
    assert predict(asked, NONE, OPEN, with_(turn=(second, first))).heard is Heard.EVERYBODY


def test_where_no_udp_gets_out_the_relay_over_tls_is_asked_first() -> None:
    urls = ("turn:turn.example.org", "turn:turn.example.org?transport=tcp", "turns:turn.example.org?transport=tcp")
    assert advise(BLOCKED, NONE, with_(turn=urls)).settings.turn == urls[::-1]
    assert advise(HOME, NONE, with_(turn=urls)).settings.turn == urls


def test_callers_without_udp_need_a_relay_over_tcp() -> None:
    over_udp, over_tls = "turn:turn.example.org", "turns:turn.example.org?transport=tcp"
    asked = dataclasses.replace(HOME, relays={over_udp: "", over_tls: ""})
    assert not predict(asked, FORWARDED, OPEN, with_(public_ip=PUBLIC)).without_udp
    assert not predict(asked, NONE, OPEN, with_(turn=(over_udp,))).without_udp
    assert predict(asked, NONE, OPEN, with_(turn=(over_udp, over_tls))).without_udp
    assert predict(asked, FORWARDED, OPEN, with_(public_ip=PUBLIC, turn=(over_tls,))).without_udp


def test_ports_that_calls_hold_could_not_be_tried() -> None:
    busy = reached(busy=RANGE)
    found = predict(ON_NIC, busy, OPEN, PIN)
    assert (found.heard, found.sure, found.severity) == (Heard.EVERYBODY, False, "warning")
    some = Reached(PUBLIC, RANGE[1:], RANGE[1:], RANGE[:1])
    assert predict(ON_NIC, some, OPEN, PIN).severity == "ok"


@pytest.mark.parametrize(
    ("seen", "tried", "settings", "public_ip", "stun"),
    [
        (ON_NIC, ALL, with_(stun=True), "", False),
        (HOME, FORWARDED, with_(stun=True), PUBLIC, False),
        (CARRIER, FORWARDED, with_(stun=True), PUBLIC, False),
        (HOME, NONE, with_(stun=True), "", True),
        (HOME, NONE, with_(public_ip="198.51.100.99", stun=True), "198.51.100.99", False),
        (CARRIER, NONE, with_(stun=True), "", False),
        (BLOCKED, NONE, with_(stun=True), "", False),
    ],
)
def test_what_is_rendered(seen: Seen, tried: Reached, settings: Settings, public_ip: str, stun: bool) -> None:
    found = advise(seen, tried, settings)
    assert found.settings.public_ip == public_ip
    assert found.stun is stun
    assert found.why
    better = dataclasses.replace(found.settings, stun=STUN if found.stun else ())
    order = list(Heard)
    before, after = predict(seen, tried, OPEN, settings).heard, predict(seen, tried, OPEN, better).heard
    assert order.index(after) >= order.index(before)


def test_networks_of_containers_are_not_offered() -> None:
    many = (
        Local("lo", "127.0.0.1", 8),
        Local("eth0", "192.168.1.10", 24),
        Local("tailscale0", "100.70.1.2", 32),
        Local("docker0", "172.17.0.1", 16),
        Local("eth0", "fe80::1", 64),
    )
    crowded = dataclasses.replace(HOME, addresses=many)
    assert advise(crowded, NONE, PIN).settings.nets == ("192.168.1.0/24", "100.70.1.2/32")
    assert advise(HOME, NONE, PIN).settings.nets == ()
    own = dataclasses.replace(PIN, nets=("192.168.0.0/16",))
    assert advise(crowded, NONE, own).settings.nets == own.nets


def test_what_the_target_offers() -> None:
    def offered(seen: Seen, tried: Reached, settings: Settings) -> object:
        return udp_in(predict(seen, tried, OPEN, settings), seen, settings)

    assert offered(ON_NIC, ALL, PIN) == OpenUdp("20000-20015", "nic")
    assert offered(HOME, FORWARDED, with_(public_ip=PUBLIC)) == OpenUdp("20000-20015", "nat")
    assert offered(CARRIER, NONE, PIN) == OpenUdp("20000-20015", "lan")
    punched = offered(HOME, NONE, with_(stun=True))
    assert isinstance(punched, BoundUdp)
    assert verdict(ServesMedia(), Offer(punched)).word == "direct"
    alone = dataclasses.replace(BLOCKED, addresses=ON_NIC.addresses, outward=PUBLIC)
    assert isinstance(offered(alone, NONE, PIN), NoUdp)


def test_where_datagrams_are_sent() -> None:
    assert where_to_try(HOME) == PUBLIC
    assert where_to_try(HOME, "198.51.100.99") == "198.51.100.99"
    assert where_to_try(BLOCKED) == ""
    assert where_to_try(dataclasses.replace(ON_NIC, public="")) == PUBLIC


def test_what_hurts_without_keeping_anybody_out() -> None:
    seen = dataclasses.replace(HOME, mtu=1280, busy=(20000, 20001, 20007), silent=("stun.example.org:3478",))
    found = notes(seen, with_(stun=True))
    assert len(found) == 3
    assert "20000-20001, 20007" in found[0]
    assert notes(HOME, PIN) == []


def test_a_sample_stands_for_all_ports() -> None:
    assert len(SAMPLE) == 4
    assert all(32768 < port < 60999 for port in SAMPLE)
    assert sample((40000, 40002))
