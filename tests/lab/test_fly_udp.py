"""WebRTC on Fly by direct UDP, as `[provider.fly] udp = true` sets it up.

The platform and its machines are in a network of their own. From there no packet of a machine finds the way to a caller
by itself, so what is heard came through the app's dedicated address.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desk import APP, Desk
from tests.lab.nat.namespaces import Namespaces
from tests.providers.fly.standin import Ground, Standin
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
EDGE, CALLER, DEDICATED = "203.0.113.1", "203.0.113.2", "198.51.100"


class Abroad(Desk):
    """A laptop beyond the platform's edge."""

    def __init__(self, root: Path, fly: Standin, networks: Namespaces, here: str) -> None:
        super().__init__(root, fly)
        self._networks, self._here = networks, here

    def argv(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self._here, *super().argv(*words)]

    def spec(self, *, name: str = APP, slots: int = 2, session: str = "", regions: str = '["fra"]') -> None:
        (self.root / "voicedeploy.toml").write_text(
            f'[bot]\nname = "{name}"\nprovider = "fly"\n[session]\n{session}\n[pool]\nmin = 1\nmax = {slots}\n'
            f'[provider.fly]\nimage = "talker"\nregion = {regions}\nudp = true\n'
        )

    def releases_by_hand(self, ip: str) -> None:
        """In the dashboard, say."""
        ask = (
            "import sys, urllib.request as r\n"
            "r.urlopen(r.Request(sys.argv[1], method='DELETE', headers={'authorization': sys.argv[2]}))"
        )
        url = f"{self.fly.url}/v1/apps/{APP}/ip_assignments/{ip}"
        self._networks.run(self._here, sys.executable, "-c", ask, url, f"FlyV1 {self.fly.token}")

    def addresses(self) -> list[str]:
        """Those that cost money."""
        return self.fly.app(APP).v4()

    def ports(self) -> dict[str, set[int]]:
        """By the machine's name."""
        alive = self.fly.app(APP).alive()
        return {m.name: {service["internal_port"] for service in m.services("udp")} for m in alive}

    def heard(self, ip: str, *ports: set[int]) -> bool:
        """Whether sound of a call came in by each of these ranges."""
        return all(sum(self.fly.carried[ip, port] for port in some) > 100 for some in ports)


@pytest.fixture
def networks() -> Iterator[Namespaces]:
    networks = Namespaces()
    yield networks
    networks.close()


@pytest.fixture
def edge(networks: Namespaces) -> str:
    edge = networks.make("fly-edge", {})
    networks.ip(edge, "route", "add", "local", f"{DEDICATED}.0/24", "dev", "lo")
    return edge


@pytest.fixture
def here(networks: Namespaces, edge: str) -> str:
    here = networks.make("fly-caller", {})
    networks.ip(edge, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", here)
    for place, address in ((edge, EDGE), (here, CALLER)):
        networks.ip(place, "addr", "add", f"{address}/24", "dev", "cable")
        networks.ip(place, "link", "set", "cable", "up")
    networks.ip(here, "route", "add", "default", "via", EDGE)
    return here


@pytest.fixture
def fly(edge: str, here: str) -> Iterator[Standin]:
    with Standin(ground=Ground(EDGE, DEDICATED, Path("/run/netns", edge))) as fly:
        yield fly
        wrong = list(fly.violations)
    assert not wrong


@pytest.fixture
def desk(tmp_path: Path, fly: Standin, networks: Namespaces, here: str) -> Iterator[Abroad]:
    desk = Abroad(tmp_path, fly, networks, here)
    desk.talker()
    yield desk
    desk.close()


def test_from_nothing_to_a_voice_and_back_to_nothing(desk: Abroad, fly: Standin) -> None:
    dry = desk.run("up", "--dry-run")
    assert dry.code == 0, dry
    assert "v4, dedicated, $2.00 a month" in dry.out and "not proven on the real platform" in dry.err
    assert not fly.changes
    assert desk.run("up", "--yes", "--no-call").code == 2
    assert not fly.changes
    up = desk.up("--json")
    assert up.code == 0, up
    assert up.json["call"]["ok"]
    (ip,), (ports,) = desk.addresses(), desk.ports().values()
    assert ports == {20000, 20001}
    call = desk.run("call", "--json")
    assert call.code == 0, call
    (run,) = call.json["runs"]
    assert run["ok"] and run["candidate_pair"]["remote"] in {f"srflx {ip}:{port}" for port in ports}
    assert desk.heard(ip, ports)
    assert fly.dropped == 0
    # Proved once more, and paid once.
    again = desk.up("--json")
    assert again.code == 0 and not again.json["changed"] and again.json["call"]["ok"], again
    assert desk.addresses() == [ip]
    assert desk.status()["cost_per_day"] == pytest.approx((32.19 + 2) * 12 / 365.25, abs=0.02)

    down = desk.run("down", "--yes", "--json", timeout=120)
    assert down.code == 0, down
    done = [(change.action, change.status) for change in fly.changes]
    assert done.count(("ip.release", 204)) == 1
    assert done.index(("ip.release", 204)) < done.index(("app.delete", 202))
    with pytest.raises(KeyError):
        fly.app(APP)
    assert desk.run("status", "--json").json["deployments"] == []


@pytest.mark.alone
def test_a_deploy_under_calls(desk: Abroad, fly: Standin) -> None:
    desk.spec(session='max_duration = "3m"')
    first = desk.up("--json")
    assert first.code == 0, first
    (ip,), (old,) = desk.addresses(), desk.ports().values()
    calls = desk.talks(2, "--sessions", "2", "--turns", "4")
    desk.line("another")
    second = desk.up("--json")
    assert second.code == 0, second
    assert second.json["release"] != first.json["release"] and second.json["call"]["ok"]
    new = next(ports for name, ports in desk.ports().items() if second.json["release"] in name)
    assert new == {20002, 20003}
    said, complaint = calls.communicate(timeout=120)
    assert calls.returncode == 0, complaint
    report = json.loads(said)
    assert [run["ok"] for run in report["runs"]] == [True, True]
    assert [run["audio"]["lost"] for run in report["runs"]] == [0, 0]
    # Not by milliseconds: machines, callers and the platform share this computer's cores.
    answers = [turn["voice_to_voice_ms"] for run in report["runs"] for turn in run["turns"]]
    assert len(answers) == 8 and None not in answers
    assert {int(run["candidate_pair"]["remote"].rpartition(":")[2]) for run in report["runs"]} == old
    assert desk.heard(ip, old, new)
    # The old machine keeps its ports while it is kept to go back to, and the next one gets others.
    until(lambda: sorted(desk.machines().values()) == ["started", "stopped"])
    back = desk.run("rollback", "--yes", "--json", timeout=200)
    assert back.code == 0 and back.json["call"]["ok"], back
    desk.line("a third")
    third = desk.up("--json")
    assert third.code == 0 and third.json["call"]["ok"], third
    ranges = desk.ports().values()
    assert len(set().union(*ranges)) == sum(map(len, ranges)) == 2 * len(ranges)
    assert desk.addresses() == [ip]


def test_two_machines_behind_one_address(desk: Abroad) -> None:
    """Each call goes to the ports of the machine that it began on."""
    desk.spec(slots=4)
    up = desk.up("--json")
    assert up.code == 0, up
    (ip,), ports = desk.addresses(), desk.ports()
    assert sorted(map(min, ports.values())) == [20000, 20002]
    calls = desk.run("call", "--sessions", "4", "--turns", "2", "--json")
    assert calls.code == 0, calls
    assert [run["ok"] for run in calls.json["runs"]] == [True] * 4
    assert desk.heard(ip, *ports.values())


def test_an_address_that_somebody_released(desk: Abroad) -> None:
    assert desk.up().code == 0
    (ip,) = desk.addresses()
    desk.releases_by_hand(ip)
    call = desk.run("call", "--turns", "1", "--json")
    assert call.code == 4, call
    assert call.json["runs"][0]["error"]["code"] == "no-pair"
    assert f"tells callers {ip}" in desk.status()["reason"]
    up = desk.up()
    assert up.code == 3 and f"tells callers {ip}" in up.err, up
    desk.line("another")
    up = desk.up("--json")
    assert up.code == 0 and up.json["call"]["ok"], up
    assert len(desk.addresses()) == 1 and desk.addresses() != [ip]


def test_an_up_that_fails_costs_nothing(desk: Abroad, fly: Standin) -> None:
    """The app was there before, so it stays; what was paid for does not."""
    assert desk.run("secrets", "set", "SOME_KEY", stdin="some-value\n").code == 0
    bot = desk.root / "bot.py"
    bot.write_text("import nothing_of_this_name\n" + bot.read_text())
    failed = desk.up()
    assert failed.code == 4, failed
    assert desk.addresses() == [] and desk.machines() == {}
    assert any(change.action == "ip.release" and change.status == 204 for change in fly.changes)
