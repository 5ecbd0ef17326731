"""Calls through NAT: who is heard is what `check` said before, row by row, whatever the router.

The rows are those of a matrix that was measured once with aiortc on both ends; here the bot is behind our front and
the caller is ours. Each network is looked at and tried as `check` does it, and then called by everybody.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from voicedeploy_providers.vm.network import firewall
from voicedeploy_providers.vm.network.looking import Mapped, Seen
from voicedeploy_providers.vm.network.probing import Reached
from voicedeploy_providers.vm.network.reach import Heard, Prediction, Settings, advise, predict

from tests.lab.nat.lab import ROUTERS, UDP, Client, Lab, Network, Outcome
from tests.lab.nat.relay import STUN, TURN_TCP, TURN_TLS, TURN_UDP

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

RANGE = f"{UDP[0]}-{UDP[-1]}"
ROUTER = ROUTERS["home"]
STOCK, PIN = Settings(), Settings(RANGE)
STOCK_STUN, PIN_STUN = Settings(stun=(STUN,)), Settings(RANGE, stun=(STUN,))
PIN_IP = Settings(RANGE, public_ip=ROUTER)

NETWORKS = {
    "public": Network("public"),
    "public behind a firewall": Network("public", firewall="with-udp"),
    "one to one": Network("home", "one-to-one"),
    "forwarded": Network("home", "forward"),
    "forwarded, random": Network("home", "forward-random"),
    "forwarded, host closed": Network("home", "forward", firewall="http"),
    "cone": Network("home", "cone"),
    "symmetric": Network("home", "symmetric"),
    "no udp": Network("home", "no-udp"),
}
MAPPED = {
    "public": Mapped.ON_NIC,
    "public behind a firewall": Mapped.ON_NIC,
    "forwarded, random": Mapped.SYMMETRIC,
    "symmetric": Mapped.SYMMETRIC,
    "no udp": Mapped.BLOCKED,
}
"""Of the others: the router keeps the port."""


@dataclass(frozen=True)
class Row:
    network: str
    words: str
    settings: Settings
    heard: Heard

    @property
    def clients(self) -> tuple[Client, ...]:
        """`silent`, whose network lets no UDP out, is heard through a relay or not at all: once without one will do."""
        silent: tuple[Client, ...] = ("silent",) if self.settings.turn or self.words == "stock + STUN" else ()
        near: tuple[Client, ...] = ("near",) if NETWORKS[self.network].place == "home" else ()
        return ("cone", "symmetric", *near, *silent)

    def __str__(self) -> str:
        return f"{self.network}: {self.words}"


ALL, PUNCHED, NEAR = Heard.EVERYBODY, Heard.ALL_BUT_SYMMETRIC, Heard.SAME_NETWORK
ROWS = [
    Row("public", "stock", STOCK, ALL),
    Row("public behind a firewall", "stock", STOCK, PUNCHED),
    Row("public behind a firewall", "stock + STUN", STOCK_STUN, PUNCHED),
    Row("public behind a firewall", "pinned", PIN, ALL),
    Row("one to one", "stock", STOCK, NEAR),
    Row("one to one", "stock + STUN", STOCK_STUN, ALL),
    Row("one to one", "pinned + public_ip", PIN_IP, ALL),
    Row("forwarded", "stock", STOCK, NEAR),
    Row("forwarded", "stock + STUN", STOCK_STUN, PUNCHED),
    Row("forwarded", "pinned", PIN, NEAR),
    Row("forwarded", "pinned + STUN", PIN_STUN, ALL),
    Row("forwarded", "pinned + public_ip", PIN_IP, ALL),
    Row("forwarded, random", "pinned + STUN", PIN_STUN, NEAR),
    Row("forwarded, random", "pinned + public_ip", PIN_IP, ALL),
    Row("cone", "stock", STOCK, NEAR),
    Row("cone", "stock + STUN", STOCK_STUN, PUNCHED),
    Row("symmetric", "stock + STUN", STOCK_STUN, NEAR),
    Row("symmetric", "TURN over UDP", Settings(turn=(TURN_UDP,)), ALL),
    Row("symmetric", "TURN over TCP", Settings(turn=(TURN_TCP,)), ALL),
    # Beyond that matrix.
    Row("cone", "pinned + public_ip", PIN_IP, PUNCHED),
    Row("forwarded, host closed", "pinned + public_ip", PIN_IP, PUNCHED),
    Row("no udp", "stock + STUN", STOCK_STUN, NEAR),
    Row("no udp", "TURN over UDP", Settings(turn=(TURN_UDP,)), NEAR),
    Row("no udp", "TURN over TLS", Settings(turn=(TURN_TLS,)), ALL),
]
CASES = [(row, client) for row in ROWS for client in row.clients]
TURN = (TURN_UDP, TURN_TCP, TURN_TLS)


class Matrix:
    """Measured network by network: all rows of one are called at the same time."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._checked: dict[str, tuple[Seen, Reached]] = {}
        self._outcomes: dict[tuple[Row, Client], Outcome] = {}

    def checked(self, network: str) -> tuple[Seen, Reached]:
        if network not in self._checked:
            self.lab.be(NETWORKS[network])
            self._checked[network] = self.lab.checked(NETWORKS[network], Settings(turn=TURN))
        return self._checked[network]

    def predicted(self, row: Row) -> Prediction:
        seen, reached = self.checked(row.network)
        return predict(seen, reached, firewall.judge(seen.firewalls, UDP, seen.interface), row.settings)

    def outcome(self, row: Row, client: Client) -> Outcome:
        if (row, client) not in self._outcomes:
            self.lab.be(NETWORKS[row.network])
            place = NETWORKS[row.network].place
            cases = [(one, by) for one, by in CASES if one.network == row.network]
            self._outcomes |= self.lab.call({case: (case[1], place, case[0].settings) for case in cases})
        return self._outcomes[row, client]


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    lab = Lab()
    try:
        lab.build()
        lab.begin(list(dict.fromkeys((NETWORKS[row.network].place, row.settings) for row in ROWS)))
        yield Matrix(lab)
    finally:
        lab.close()


def heard_by(prediction: Prediction, client: Client) -> bool:
    if client == "silent":
        return prediction.without_udp
    order = list(Heard)
    least = {"cone": Heard.ALL_BUT_SYMMETRIC, "symmetric": Heard.EVERYBODY, "near": Heard.SAME_NETWORK}[client]
    return order.index(prediction.heard) >= order.index(least)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_network_is_told_for_what_it_is(matrix: Matrix, network: str) -> None:
    seen, reached = matrix.checked(network)
    assert seen.mapped is MAPPED.get(network, Mapped.PORT_KEPT)
    assert seen.interface == "eth0"
    assert reached.busy == ()
    media = reached.within(UDP)
    if network in ("cone", "symmetric", "no udp", "forwarded, host closed"):
        assert media.answered == ()
    else:
        assert media.answered == media.asked == tuple(UDP)
        assert reached.seen_from == ROUTERS["cone"]
    assert bool(reached.within(range(32768, 61000)).answered) == (network in ("public", "one to one"))
    assert firewall.judge(seen.firewalls, UDP, "eth0").state == (
        "closed" if network == "forwarded, host closed" else "open"
    )


@pytest.mark.parametrize(("row", "client"), CASES, ids=[f"{row} - {client}" for row, client in CASES])
def test_who_is_heard_is_what_was_predicted(matrix: Matrix, row: Row, client: Client) -> None:
    prediction = matrix.predicted(row)
    outcome = matrix.outcome(row, client)
    told = f"\npredicted: {prediction.heard} ({prediction.reason})\ncalled: {outcome}"
    assert prediction.heard is row.heard, told
    assert outcome.heard is heard_by(prediction, client), told
    assert outcome.layer in ("", "no-pair"), told  # nothing else is in the way


def test_the_advice_is_followed_by_everybody_whom_a_port_can_let_in(matrix: Matrix) -> None:
    for network, heard in {"one to one": ALL, "forwarded": ALL, "forwarded, random": ALL, "public": ALL}.items():
        seen, reached = matrix.checked(network)
        advice = advise(seen, reached, PIN_STUN)
        assert advice.stun is False
        assert advice.settings.public_ip == ("" if network == "public" else ROUTER)
        judged = firewall.judge(seen.firewalls, UDP, seen.interface)
        assert predict(seen, reached, judged, advice.settings).heard is heard


def test_the_command_that_is_told_opens_the_firewall(matrix: Matrix) -> None:
    network = "forwarded, host closed"
    row = Row(network, "pinned + public_ip", PIN_IP, ALL)
    fix = matrix.predicted(row).fix
    assert fix == f"nft insert rule inet filter input udp dport {RANGE} accept"
    lab = matrix.lab
    lab.be(NETWORKS[network])
    lab.net.run(lab.home, "sh", "-c", fix)
    seen, reached = lab.checked(NETWORKS[network], PIN_IP)
    judged = firewall.judge(seen.firewalls, UDP, seen.interface)
    assert predict(seen, reached, judged, PIN_IP).heard is ALL
    assert lab.call({"after": ("symmetric", "home", PIN_IP)})["after"].heard
