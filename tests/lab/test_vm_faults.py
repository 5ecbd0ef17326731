"""What goes wrong between here and a host, and what a plain `up` makes of it afterwards."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.vm import Vm

from tests.lab import hosts
from tests.lab.hosts import Host
from tests.lab.hosts.fixtures import MakeHost
from tests.lab.ssh import Desk
from voicedeploy import engine
from voicedeploy.plan import Door, Step
from voicedeploy.spec import load

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

# A process that is gone after its n-th step, as if the laptop had been switched off.
CRASH = """
import os, sys
from voicedeploy.cli import main, progress
left = [int(sys.argv[1])]
class Ticker(progress.Ticker):
    def ends(self, *words):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
progress.Ticker = Ticker
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def home(lab: object) -> Iterator[Host]:
    host = hosts.make("faulty")
    yield host
    hosts.drop(host)


@pytest.fixture(scope="module")
def desk(home: Host, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.add(home)
    return desk


def test_a_crash_after_each_step_from_a_bare_host_on(desk: Desk, home: Host) -> None:
    crashes = 0
    for step in range(40):
        words = [sys.executable, "-c", CRASH, str(step), "up", "--host", home.name, "--yes", "--no-call"]
        done = subprocess.run(words, cwd=desk.root, env=desk.environment, capture_output=True, text=True, timeout=240)
        if done.returncode != 9:
            assert done.returncode == 0, done.stderr
            break
        crashes += 1
    else:
        pytest.fail("it never came to an end")
    assert crashes >= 5
    again = desk.up(home)
    assert again.code == 0, again
    call = desk.run("call", "--host", home.name, "--turns", "1", "--json")
    assert call.code == 0, call


def test_a_cut_connection_in_each_step(desk: Desk, home: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is taken up again by itself, or a plain `up` repairs it; what is live goes on answering."""
    monkeypatch.setenv("PATH", desk.environment["PATH"])

    class Cutting:
        def __init__(self, at: int) -> None:
            self.left = at
            self.cut = ""

        def begins(self, step: Step) -> None:
            self.left -= 1
            if self.left == -1:
                self.cut = step.subject
                threading.Timer(0.03, home.cut_ssh).start()

        def ends(self, step: Step, seconds: float, note: str) -> None: ...

        def fails(self, step: Step, error: BaseException) -> None: ...

        def undoes(self, step: Step, error: BaseException | None) -> None: ...

    cuts = []
    for at in range(40):
        desk.change()
        spec = load(desk.root / "voicedeploy.toml")
        provider = Vm.configure({**spec.options("vm"), "host": home.name})
        watch = Cutting(at)
        try:
            with provider.lock("talker", "a test"):
                plan = provider.plan(spec, provider.find("talker")).without_proof()
                engine.carry_out(plan, provider.target(), _never, watch)
        except Exception as error:
            print(f"cut in {watch.cut}: {error}")  # noqa: T201
        finally:
            provider.close()
        if not watch.cut:
            break
        cuts.append(watch.cut)
        repaired = desk.up(home, "--no-call")
        assert repaired.code == 0, (watch.cut, repaired)
        assert desk.status(home)["release"] == repaired.json["release"]
    assert {"release", "environment", "start", "ready", "traffic", "record"} <= set(cuts)
    assert desk.up(home, "--no-call").json["changed"] is False


def _never(door: Door, report: str) -> str:
    raise AssertionError("the plan was to have no proof")


def test_a_bot_that_needs_a_library_of_the_system(desk: Desk, home: Host) -> None:
    assert desk.up(home).code == 0
    before = desk.status(home)["release"]
    desk.write(extra='\nimport ctypes\nctypes.CDLL("libGL.so.1")\n')
    try:
        up = desk.up(home)
        assert up.code == 4
        assert "libGL.so.1" in up.json["error"]["message"]
        assert "packages" in up.json["error"]["hint"]
        assert desk.status(home)["release"] == before
    finally:
        desk.write()


def test_a_full_disk_leaves_what_is_live_alone(warm_host: MakeHost, tmp_path: Path) -> None:
    host = warm_host("full", disk="2600M")
    desk = Desk(tmp_path)
    desk.add(host)
    up = desk.up(host, "--no-call")
    assert up.code == 0, up
    before = desk.status(host)["release"]
    (desk.root / "big.bin").write_bytes(b"\0" * 1000 + bytes(range(256)) * 400_000)
    host.fill_disk(70 * 2**20)
    full = desk.up(host, "--no-call")
    assert full.code == 4, full
    assert "full" in full.json["error"]["message"] and "free some space" in full.json["error"]["hint"]
    assert desk.status(host)["release"] == before
    host.free_disk()
    host.fill_disk(5 * 2**20)
    refused = desk.up(host, "--no-call")
    assert refused.code == 3
    assert "MB free" in refused.json["error"]["message"]
    host.free_disk()
    assert desk.up(host, "--no-call").code == 0
    assert desk.run("call", "--host", host.name, "--turns", "1", "--json").code == 0


def test_a_user_that_may_not(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("strict", sudo="none")
    desk = Desk(tmp_path)
    desk.add(host)
    up = desk.up(host)
    assert up.code == 3
    assert "sudo" in up.json["error"]["message"] + up.json["error"]["hint"]
    assert host.run("ls /opt").stdout.strip() == ""


def test_no_python_and_no_way_to_fetch_one(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("bare", python=False)
    desk = Desk(tmp_path)
    desk.add(host)
    check = desk.run("check", "--host", host.name, "--json")
    assert "VD209" in [finding["code"] for finding in check.json["findings"]]
    up = desk.up(host)
    assert up.code == 4, up
    assert up.json["error"]["hint"]
    assert "voicedeploy-" not in host.run("systemctl list-units --no-legend --plain 'voicedeploy-*'").stdout


def test_a_port_of_the_web_that_somebody_has(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("taken")
    desk = Desk(tmp_path)
    desk.add(host)
    host.run("systemd-run --unit=squatter python3 -m http.server 443")
    up = desk.up(host)
    assert up.code == 3
    assert "443" in up.json["error"]["message"]
    assert host.run("ls /opt").stdout.strip() == ""


def test_the_first_of_two_hosts_is_the_canary(warm_host: MakeHost, tmp_path: Path) -> None:
    first, second = warm_host("first"), warm_host("second")
    desk = Desk(tmp_path)
    for host in (first, second):
        desk.add(host)
    desk.write(spec='[provider.vm]\nhost = ["first", "second"]\n')
    both = desk.run("up", "--yes", "--json", "--no-call")
    assert both.code == 0, both
    assert [one["changed"] for one in both.json["hosts"]] == [True, True]
    releases = {one["release"] for one in both.json["hosts"]}
    assert len(releases) == 1
    good = (desk.root / "bot.py").read_text()
    (desk.root / "bot.py").write_text("import nothing_of_that_name\n" + good)
    bad = desk.run("up", "--yes", "--json", "--no-call")
    assert bad.code == 4
    seen = second.run("ls /opt/voicedeploy/bots/talker/releases").stdout.split()
    assert set(seen) == releases, "the second host was not touched"
    (desk.root / "bot.py").write_text(good)
    listed = desk.run("status", "--json").json["deployments"]
    assert [one["release"] for one in listed] == list(releases) * 2
