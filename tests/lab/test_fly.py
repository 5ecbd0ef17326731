"""`--provider fly` by the real command, against a stand-in of the platform that really runs the machines.

What only the platform itself can show is in docs/guide/fly.md.
"""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.local import Place, Result
from tests.providers.fly.standin import Image, Standin, Trap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

APP = "talker"
# A machine sees this computer, with a disk of its own laid over it: so the image of a test is a few links and a copy.
BEGIN = """
mkdir -p /opt/voicedeploy /opt/bot && ln -sfn {venv} /opt/voicedeploy/venv && ln -sfn {venv} /opt/bot/venv
cp -r {project} /opt/bot/app && cd /opt/bot/app
exec /opt/voicedeploy/venv/bin/python -P -m voicedeploy.serve /opt/bot/front.toml
"""


class Desk(Place):
    """A project and a laptop with a token, before a platform."""

    def __init__(self, root: Path, fly: Standin) -> None:
        super().__init__(root, udp="21940-21947")
        self.fly = fly
        venv = Path(sys.executable).parents[1]
        begin = BEGIN.format(venv=shlex.quote(str(venv)), project=shlex.quote(str(self.root)))
        fly.images.add("talker", Image(("sh", "-c", begin)))

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.fly.environment(APP)}

    def spec(self, *, name: str = APP, slots: int = 2, session: str = "", regions: str = '["fra"]') -> None:
        (self.root / "voicedeploy.toml").write_text(
            f'[bot]\nname = "{name}"\nprovider = "fly"\n[transport]\nkind = "websocket"\n[session]\n{session}\n'
            f'[pool]\nmin = 1\nmax = {slots}\n[provider.fly]\nimage = "talker"\nregion = {regions}\n'
        )

    def up(self, *more: str) -> Result:
        return self.run("up", "--yes", *more, timeout=300)

    def machines(self) -> dict[str, str]:
        return {machine.name: machine.state for machine in self.fly.app(APP).alive()}

    def close(self) -> None:
        for program in self._running:
            if program.poll() is None:
                program.kill()
            program.communicate()
        self._running.clear()
        (self.root / "voicedeploy.toml").unlink(missing_ok=True)
        super().close()


@pytest.fixture
def fly() -> Iterator[Standin]:
    with Standin() as fly:
        yield fly
        wrong = list(fly.violations)
    assert not wrong


@pytest.fixture
def desk(tmp_path: Path, fly: Standin) -> Iterator[Desk]:
    desk = Desk(tmp_path, fly)
    desk.talker()
    yield desk
    desk.close()


def until(true: "object", within_s: float = 60) -> None:
    assert callable(true)
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.2)


def test_from_nothing_to_a_voice_and_back_to_nothing(desk: Desk, fly: Standin) -> None:
    dry = desk.run("up", "--dry-run", "--json")
    assert dry.code == 0, dry
    assert not fly.changes
    up = desk.up("--json")
    assert up.code == 0, up
    assert up.json["call"]["ok"]
    assert up.json["url"] == fly.site(APP)
    assert list(desk.machines().values()) == ["started"]
    again = desk.up()
    assert again.code == 0 and "nothing to change" in again.out, again
    status = desk.status()
    assert (status["state"], status["slots"]) == ("running", 2)
    assert status["cost_per_day"] > 0.5
    call = desk.run("call", "--json")
    assert call.code == 0, call
    key = fly.app(APP).secrets["VOICEDEPLOY_KEY"].value
    assert not any(key in said for said in (up.out, up.err, call.out, call.err, dry.out))
    down = desk.run("down", "--yes", timeout=120)
    assert down.code == 0, down
    with pytest.raises(KeyError):
        fly.app(APP)
    assert desk.run("status", "--json").json["deployments"] == []


def test_a_deploy_under_a_call(desk: Desk) -> None:
    desk.spec(slots=2, session='max_duration = "3m"')
    first = desk.up("--json")
    assert first.code == 0, first
    calls = desk.begin("call", "--sessions", "2", "--runs", "1", "--json")
    until(lambda: desk.status()["sessions"] == 2)
    bot = desk.root / "bot.py"
    bot.write_text(bot.read_text() + "\n# another line\n")
    second = desk.up("--json")
    assert second.code == 0, second
    assert second.json["release"] != first.json["release"]
    said, complaint = calls.communicate(timeout=120)
    assert calls.returncode == 0, complaint
    report = json.loads(said)
    assert [run["ok"] for run in report["runs"]] == [True, True]
    assert max(run["audio"]["max_gap_ms"] for run in report["runs"]) < 60
    # The old machine stops by itself when its last call has ended, and is kept to go back to.
    until(lambda: sorted(desk.machines().values()) == ["started", "stopped"])
    back = desk.run("rollback", "--yes", "--json", timeout=200)
    assert back.code == 0, back
    assert desk.status()["release"] == first.json["release"]
    assert desk.run("call", "--json").code == 0


def test_a_release_that_does_not_start_gets_no_call(desk: Desk) -> None:
    first = desk.up("--json")
    assert first.code == 0, first
    bot = desk.root / "bot.py"
    good = bot.read_text()
    bot.write_text("import nothing_of_this_name\n" + good)
    failed = desk.up()
    assert failed.code == 4, failed
    assert "nothing_of_this_name" in failed.err
    assert list(desk.machines().values()) == ["started"]
    assert desk.status()["release"] == first.json["release"]
    bot.write_text(good)
    assert "nothing to change" in desk.up().out


def test_no_room_in_the_first_region(desk: Desk, fly: Standin) -> None:
    desk.spec(regions='["fra", "ams"]')
    fly.settings.full_regions.add("fra")
    up = desk.up("--json")
    assert up.code == 0, up
    assert [machine.region for machine in fly.app(APP).alive()] == ["ams"]


def test_an_answer_that_is_lost_makes_no_second_machine(desk: Desk, fly: Standin) -> None:
    fly.trap(Trap("machine.create", done=True, status=408))
    up = desk.up("--json")
    assert up.code == 0, up
    assert len(desk.machines()) == 1


def test_a_secret_alone_is_a_release(desk: Desk) -> None:
    first = desk.up("--json")
    assert first.code == 0, first
    done = desk.run("secrets", "set", "SOME_KEY", stdin="some-value\n")
    assert done.code == 0, done
    second = desk.up("--json")
    assert second.code == 0, second
    assert second.json["release"] != first.json["release"]
