"""WebRTC calls on a real host, of which no deploy cuts one."""

import re
from collections.abc import Iterator

import pytest

from tests.lab import hosts, warm
from tests.lab.hosts import Host
from tests.lab.ssh import Desk, only_unit, unbroken
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home(lab: object) -> Iterator[Host]:
    host = warm.host("home")
    yield host
    hosts.drop(host)


@pytest.fixture(scope="module")
def desk(home: Host, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.add(home)
    up = desk.up(home, "--no-call")
    assert up.code == 0, up
    return desk


def test_no_call_is_cut_by_three_deploys_a_bad_one_and_a_rollback(desk: Desk, home: Host) -> None:
    calls = [desk.talk(home) for _ in range(2)]
    until(lambda: desk.status(home)["sessions"] == 2)
    released = desk.three_good_a_bad_one_and_back(home)
    assert all(call.poll() is None for call in calls), "they were to run all the while"
    unbroken(calls)
    until(lambda: not desk.status(home)["draining"])
    only_unit(home, "talker", released[-2])


def test_who_deploys_is_told_of_the_calls(desk: Desk, home: Host) -> None:
    before = desk.status(home)["release"]
    call = desk.talk(home, 7)
    until(lambda: desk.status(home)["sessions"] == 1)
    # The call that runs, before the one that waits ready; where this machine itself may raise limits, and so a host.
    limit = home.run("systemd-run --wait --quiet --pipe -p LimitNICE=-10 grep nice /proc/self/limits").stdout.split()
    first = -10 if limit[3] == "30" else 0
    assert min(map(int, home.run("ps -C vd-call -o nice=").stdout.split())) == first
    desk.change()
    up = desk.run("up", "--host", home.name, "--yes")
    assert up.code == 0, up
    assert f"1 call runs on {before} now" in up.err
    assert re.search(rf"is live after [\d.]+ s; 1 call runs on {before} still", up.err), up
    unbroken([call], 7)
