"""`--provider fly` by the real command, against a stand-in of the platform that really runs the machines.

What only the platform itself can show is in docs/guide/fly.md.
"""

import json

import pytest

from tests.lab.desk import APP, Desk
from tests.providers.fly.standin import Standin, Trap
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


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


@pytest.mark.alone
def test_a_deploy_under_a_call(desk: Desk) -> None:
    desk.spec(slots=2, session='max_duration = "3m"')
    first = desk.up("--json")
    assert first.code == 0, first
    calls = desk.talks(2, "--sessions", "2", "--runs", "1")
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
    until(lambda: list(desk.machines().values()) == ["started"])
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
