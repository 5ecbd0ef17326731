"""Direct UDP: which ports machines get, and the address that costs money."""

import pytest
from voicedeploy_providers.fly import udp
from voicedeploy_providers.fly.api import Fly
from voicedeploy_providers.fly.releasing import address, api
from voicedeploy_providers.fly.target import Platform

from tests.providers.fly.house import House
from tests.providers.fly.standin import Standin, Trap
from voicedeploy.deployment import Deployment
from voicedeploy.errors import NotReady, StepFailed
from voicedeploy.plan import Call, Remove

OURS = Deployment("fly", "front-desk", "1234567", "webrtc", "https://voice-bot.fly.dev", "").labels()
APP = "voice-bot"


def kinds(house: House) -> list[str]:
    return [ip.kind for ip in house.app.ips.list()]


def test_each_machine_gets_the_lowest_ports_that_nobody_has() -> None:
    assert udp.free((), 2, 2) == ("20000-20001", "20002-20003")
    assert udp.free({20001, 20005}, 3, 2) == ("20002-20003", "20006-20007", "20008-20009")
    assert udp.free({20000}, 1, 1) == ("20001-20001",)
    assert udp.free((), 0, 4) == ()
    with pytest.raises(NotReady, match="nearly all UDP ports from 20000 to 59999"):
        udp.free(range(20000, 59998), 2, 2)


def test_ports_are_taken_by_whoever_has_a_machine_there_running_or_not(house: House) -> None:
    house.machine("somebody-s", udp=40000)
    old = house.machine("front-desk-1234567-1", metadata={**OURS, udp.PORTS: "20000-20001"})
    house.app.machines.stop(old.id)
    house.app.machines.wait(old.id, "stopped")
    assert udp.taken(house.app.machines.list()) == {20000, 20001, 40000}


def test_ports_that_are_not_known_are_not_guessed(house: House, standin: Standin) -> None:
    """Fly tells less of a machine whose host it does not reach; what we wrote ourselves is enough."""
    house.machine("front-desk-1234567-1", metadata={**OURS, udp.PORTS: "20000-20001"})
    house.machine("front-desk-1234567-2", metadata=OURS)
    standin.settings.unreachable |= {"front-desk-1234567-1", "front-desk-1234567-2"}
    assert udp.taken(house.app.machines.list()) == {20000, 20001}
    house.machine("somebody-s", udp=40000)
    standin.settings.unreachable.add("somebody-s")
    with pytest.raises(NotReady, match="somebody-s, whose UDP ports are not known"):
        udp.taken(house.app.machines.list())


def test_an_address_is_never_given_twice(house: House, fly: Fly, standin: Standin) -> None:
    """Not where there is one, and not where the answer was lost."""
    standin.trap(Trap("ip.assign", done=True, status=502))
    platform = Platform(fly, APP, {})
    for _ in range(2):
        assert platform.perform(address(APP, "v4").action)
    assert kinds(house) == ["v4"]


def test_what_was_given_is_taken_back_and_nothing_else(house: House, fly: Fly) -> None:
    step, first = address(APP, "v4"), Platform(fly, APP, {})
    assert step.undo is not None
    first.perform(step.action)
    another = Platform(fly, APP, {})
    another.perform(step.action)
    another.perform(step.undo)
    assert kinds(house) == ["v4"]
    first.perform(step.undo)
    assert kinds(house) == []


def test_an_address_that_stays_is_no_success(house: House, fly: Fly, standin: Standin) -> None:
    ip = house.app.ips.assign("v4").ip
    gone = Remove((api(APP, "ip_assignments", ip),))
    standin.trap(Trap("ip.release", status=404))
    with pytest.raises(StepFailed, match=rf"still has {ip}, \$2.00 a month"):
        Platform(fly, APP, {}).perform(gone)
    Platform(fly, APP, {}).perform(gone)
    assert kinds(house) == []


def test_no_machine_is_made_that_would_not_know_its_address(house: House, fly: Fly) -> None:
    config = {"image": "echo:1", "env": {udp.PUBLIC_IP: udp.KIND}, "metadata": OURS}
    body = {"name": "front-desk-1234567-1", "regions": ["fra"], "config": config}
    make = Call("POST", api(APP, "machines"), body=body)
    with pytest.raises(StepFailed, match="voice-bot has no address of the kind v4"):
        Platform(fly, APP, {}).perform(make)
    assert house.app.machines.list() == ()
    ip = house.app.ips.assign("v4").ip
    Platform(fly, APP, {}).perform(make)
    (made,) = house.app.machines.list()
    assert made.config and made.config.env == {udp.PUBLIC_IP: ip}
    assert not udp.lost(made, house.app.ips.list())
    house.app.ips.release(ip)
    with pytest.raises(NotReady, match=f"front-desk-1234567-1 tells callers {ip}, an address"):
        udp.require([made], house.app.ips.list())
