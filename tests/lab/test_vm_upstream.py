"""VM, Pipecat Cloud, VM: the same bot, and a heard call at each station. The bots move, and the VM keeps its front."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import hosts, warm
from tests.lab.hosts import Host, network
from tests.lab.ssh import Desk, run_of
from tests.providers.pipecat_cloud.standin import Standin
from tests.waiting import until
from voicedeploy.project import release

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ELSEWHERE = '[upstream]\nprovider = "pipecat-cloud"\n'


@pytest.fixture(scope="module")
def home(lab: object) -> Iterator[Host]:
    host = warm.host("home", firewall="ufw")
    yield host
    hosts.drop(host)


@pytest.fixture
def standin(home: Host) -> Iterator[Standin]:
    """Where the host finds it."""
    with Standin(host=network.GATEWAY4) as standin:
        settings = standin.settings
        settings.building_s = settings.secrets_s = settings.creating_s = 0.5
        # None answers in the lab, and the caller would wait for each.
        settings.ice_servers = []
        yield standin
        wrong = list(standin.violations)
    assert not wrong


@pytest.fixture
def desk(home: Host, standin: Standin, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.add(home)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in standin.environment().items():
            patch.setenv(name, value)
        yield desk


def udp_rules(host: Host) -> int:
    return host.run("ufw status").stdout.count("/udp ")


def test_the_bots_move_and_come_back(desk: Desk, home: Host, standin: Standin) -> None:
    bot = release(desk.root, ("bot.py",))
    first = desk.up(home)
    assert first.code == 0 and first.json["call"]["ok"], first
    assert udp_rules(home) > 0

    there = desk.run("up", "--provider", "pipecat-cloud", "--yes", "--json")
    assert there.code == 0 and there.json["call"]["ok"], there
    sessions = standin.agent("talker").sessions
    begun = len(sessions)

    desk.write(spec=ELSEWHERE)
    set_ = desk.run("secrets", "set", "PIPECAT_CLOUD_PUBLIC_KEY", "--host", home.name, stdin=standin.org.public)
    assert set_.code == 0, set_
    running = desk.talk(home, 12)
    until(lambda: desk.status(home)["sessions"] == 1)
    moved = desk.up(home)
    assert moved.code == 0 and moved.json["call"]["ok"], moved
    assert moved.json["url"] == first.json["url"]
    assert len(sessions) == begun + 2, "called on the host before it gets traffic, and from here after"
    run = run_of(running, 180)
    assert run["ok"] and run["audio"]["lost"] == 0, run
    until(lambda: not desk.status(home)["draining"])
    again = desk.up(home)
    assert again.code == 0, again
    assert udp_rules(home) == 0, "no packet comes to it any more"
    called = desk.run("call", "--host", home.name, "--json")
    assert called.code == 0 and called.json["runs"][0]["session_id"] in sessions, called

    desk.write()
    back = desk.up(home)
    assert back.code == 0 and back.json["call"]["ok"], back
    assert udp_rules(home) > 0
    begun = len(sessions)
    own = desk.run("call", "--host", home.name, "--json")
    assert own.code == 0 and own.json["runs"][0]["ok"], own
    assert len(sessions) == begun
    assert release(desk.root, ("bot.py",)) == bot
    assert desk.run("down", "--host", home.name, "--yes").code == 0
