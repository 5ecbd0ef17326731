"""UDP as Fly carries it: a dedicated address, the same port inside, one machine, and answers from the right address."""

import socket
import time
from collections.abc import Iterator

import pytest
from voicedeploy_providers.fly.api import Port, Service

from tests.providers.fly.house import House, config
from tests.providers.fly.standin import Standin
from tests.providers.fly.standin.disk import isolation

pytestmark = pytest.mark.skipif(isolation() == "none", reason="machines need a hosts file of their own")
PORT = 40000


@pytest.fixture
def caller() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.settimeout(0.5)
        yield caller


def asks(caller: socket.socket, ip: str, text: str = "hello", port: int = PORT, tries: int = 4) -> str:
    """The machine that answers, "" where none does."""
    for _ in range(tries):
        caller.sendto(text.encode(), (ip, port))
        try:
            answer, source = caller.recvfrom(2048)
        except TimeoutError:
            continue
        assert source == (ip, port)
        machine, _, said = answer.decode().partition(" ")
        assert said == text
        return machine
    return ""


def test_packets_reach_the_machine_and_come_back(house: House, caller: socket.socket) -> None:
    made = house.machine(udp=PORT)
    ip = house.app.ips.assign("v4").ip
    assert asks(caller, ip) == made.id
    assert asks(caller, ip, "x" * 1200) == made.id
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
        another.settimeout(0.5)
        assert asks(another, ip, "second") == made.id


def test_a_packet_that_is_too_large_is_dropped(house: House, standin: Standin, caller: socket.socket) -> None:
    made = house.machine(udp=PORT)
    ip = house.app.ips.assign("v4").ip
    room = 1300 - 28 - len(f"{made.id} ")
    assert asks(caller, ip, "x" * room) == made.id
    assert standin.dropped == 0
    assert asks(caller, ip, "x" * (room + 1), tries=1) == ""
    assert standin.dropped == 1


def test_each_machine_has_an_address_of_that_name(house: House) -> None:
    machines = [house.machine(f"bot-{n}") for n in (1, 2)]
    found = [
        house.app.machines.run(m.id, ["getent", "hosts", "fly-global-services"]).stdout.split()[0] for m in machines
    ]
    assert found == [house.standin.machine("voice-bot", m.name).address for m in machines]
    assert len(set(found)) == 2


@pytest.mark.parametrize("kind", ["shared_v4", "v6"])
def test_no_other_address_carries_them(house: House, caller: socket.socket, kind: str) -> None:
    house.machine(udp=PORT)
    given = house.app.ips.assign(kind)  # type: ignore[arg-type]
    assert house.standin.app("voice-bot").v4() == []
    assert given.kind == kind
    dedicated = house.app.ips.assign("v4").ip
    assert asks(caller, dedicated)
    house.app.ips.release(dedicated)
    assert asks(caller, dedicated, tries=2) == ""


def test_a_port_that_differs_inside_carries_nothing(house: House, caller: socket.socket) -> None:
    ip = house.app.ips.assign("v4").ip
    usual = config(udp=PORT)
    other = Service(protocol="udp", internal_port=PORT, ports=(Port(port=PORT + 1),))
    house.app.machines.create(
        "bot-1", config(services=(usual.services[0], other), env={"UDP_PORT": str(PORT)}), region="fra"
    )
    time.sleep(1)
    assert asks(caller, ip, port=PORT + 1, tries=2) == ""
    assert asks(caller, ip, port=PORT, tries=2) == ""


def test_an_answer_from_another_address_is_dropped(house: House, caller: socket.socket) -> None:
    house.machine(udp=PORT, env={"UDP_ELSEWHERE": "1"})
    assert asks(caller, house.app.ips.assign("v4").ip, tries=2) == ""
    assert house.standin.dropped >= 1


def test_one_machine_gets_all_of_a_port(house: House, caller: socket.socket) -> None:
    machines = {house.machine(f"bot-{n}", udp=PORT).id: n for n in (1, 2)}
    own = house.machine("bot-3", udp=PORT + 1)
    ip = house.app.ips.assign("v4").ip
    served = set()
    for _ in range(10):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as someone:
            someone.settimeout(0.5)
            served.add(asks(someone, ip))
    assert len(served) == 1
    assert served < machines.keys()
    assert asks(caller, ip, port=PORT + 1) == own.id
    lucky = served.pop()
    house.app.machines.stop(lucky)
    house.app.machines.wait(lucky, "stopped")
    assert {asks(caller, ip), lucky} == machines.keys()


def test_cordoning_cuts_packets_unless_the_platform_is_kind(house: House, caller: socket.socket) -> None:
    made = house.machine(udp=PORT)
    ip = house.app.ips.assign("v4").ip
    assert asks(caller, ip) == made.id
    house.app.machines.cordon(made.id)
    assert asks(caller, ip, tries=2) == ""
    house.standin.settings.cordoned_udp = True
    assert asks(caller, ip) == made.id


def test_a_machine_with_nothing_but_udp_is_idle(house: House, caller: socket.socket) -> None:
    made = house.machine(udp=PORT, autostop="stop")
    ip = house.app.ips.assign("v4").ip
    assert asks(caller, ip) == made.id
    house.standin.clock.advance(1000)
    assert house.app.machines.wait(made.id, "stopped", timeout_s=10) == "stopped"
    assert asks(caller, ip, tries=2) == ""
