"""The days after the first `up` to Fly: machines that crash or vanish, more of them, other secrets, and the end."""

import json
from collections import Counter

import pytest
from voicedeploy_providers.fly.api import Fly, Token

from tests.lab.desk import APP, Desk
from tests.providers.fly.standin import Standin
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_a_machine_that_crashes(desk: Desk, fly: Standin) -> None:
    """The platform starts it again, and `status` says that it was so."""
    assert desk.up().code == 0
    name = next(iter(desk.machines()))
    fly.crash(APP, name)
    # It may be up again before anybody looks.
    until(lambda: "crashed" in desk.status()["reason"], pause_s=1.0)
    until(lambda: desk.status()["state"] == "running", pause_s=1.0)
    reason = desk.status()["reason"]
    assert f"{name} crashed" in reason and "started again" in reason
    assert desk.run("call", "--turns", "1").code == 0
    assert "nothing to change" in desk.up().out


def test_a_machine_that_somebody_destroyed(desk: Desk, fly: Standin) -> None:
    desk.spec(slots=3)
    assert desk.up().code == 0
    machines = fly.app(APP).machines
    gone = next(machine for machine in machines.values() if machine.name.endswith("-1"))
    with Fly(Token.parse(fly.token), fly.places) as by_hand:
        by_hand.app(APP).machines.destroy(gone.id, force=True)
    until(lambda: gone.name not in desk.machines())
    up = desk.up("--json")
    assert up.code == 0, up
    assert up.json["changed"] and up.json["call"]["ok"]
    assert sorted(desk.machines().values()) == ["started", "started"]
    assert gone.name in desk.machines()


def test_a_host_that_fly_does_not_reach(desk: Desk, fly: Standin) -> None:
    """What is not known of a machine does not make it one that is not there."""
    assert desk.up().code == 0
    name = next(iter(desk.machines()))
    fly.settings.unreachable.add(name)
    assert "does not reach the host" in desk.status()["reason"]
    again = desk.up("--json")
    assert again.code == 0, again
    assert list(desk.machines()) == [name]


def test_more_calls_at_once(desk: Desk, fly: Standin) -> None:
    """Two machines: each call stays on the one it began on, and where one is full it goes to the other."""
    desk.spec(slots=2)
    first = desk.up("--json")
    assert first.code == 0, first
    desk.spec(slots=4)
    second = desk.up("--json")
    assert second.code == 0, second
    assert second.json["release"] != first.json["release"]
    assert desk.status()["slots"] == 4
    calls = desk.talks(4, "--sessions", "4", "--turns", "3")
    busy = desk.run("call", "--turns", "0")
    assert busy.code == 4 and "busy" in busy.err, busy
    said, complaint = calls.communicate(timeout=120)
    assert calls.returncode == 0, complaint
    assert [run["ok"] for run in json.loads(said)["runs"]] == [True] * 4
    lines = [json.loads(text) for text in desk.run("logs", "-n", "1000", "--json").out.splitlines() if "{" in text]
    sessions = {line["session"] for line in lines if line.get("session")}
    # The machine of a call is the end of its id.
    machines = Counter(session.replace("-", "")[18:] for session in sessions)
    live = [m.id for m in fly.app(APP).alive() if second.json["release"] in m.name]
    assert all(machines[id] >= 2 for id in live), machines


def test_secrets_that_are_new_reach_the_next_release(desk: Desk, fly: Standin) -> None:
    """However far behind the platform's hosts are."""
    desk.talker(extra="\nimport os\nprint('the key is', os.environ.get('SOME_KEY', 'not there'), flush=True)\n")
    assert desk.up().code == 0
    fly.settings.secrets_lag_s = 3600.0
    assert desk.run("secrets", "set", "SOME_KEY", stdin="the-second\n").code == 0
    second = desk.up("--json")
    assert second.code == 0, second
    assert any("the-second" in line["attributes"]["message"] for line in fly.app(APP).log)
    assert "VOICEDEPLOY" not in desk.run("secrets", "list").out


def test_what_is_said_of_it_and_the_end(desk: Desk, fly: Standin) -> None:
    desk.spec(session='max_duration = "2m"')
    first = desk.up("--json")
    assert first.code == 0, first
    desk.line("another")
    second = desk.up("--json")
    assert second.code == 0, second
    call = desk.run("call", "--turns", "1", "--json")
    assert call.code == 0, call
    until(lambda: sorted(desk.machines().values()) == ["started", "stopped"])
    releases = desk.run("releases", "--json").json["releases"]
    assert [(one["release"], one["state"]) for one in releases] == [
        (second.json["release"], "live"),
        (first.json["release"], "kept"),
    ]
    session = call.json["runs"][0]["session_id"]
    mine = desk.run("logs", "--session", session, "--json")
    assert mine.code == 0 and mine.out.count(session) == len(mine.out.splitlines()) > 0
    assert len(desk.run("logs", "-n", "5").out.splitlines()) == 5
    shown = desk.run("status")
    assert "a day" in shown.out, shown

    # A call that runs ends in its own time, and then nothing is left that costs money.
    talking = desk.talk(2)
    down = desk.run("down", "--yes", timeout=200)
    assert down.code == 0, down
    said, complaint = talking.communicate(timeout=60)
    assert talking.returncode == 0, (said, complaint)
    with pytest.raises(KeyError):
        fly.app(APP)
    assert desk.run("status", "--json").json["deployments"] == []


def test_what_an_up_left_behind_is_taken_away(desk: Desk, fly: Standin) -> None:
    """Killed before anything was live: `status` says so, and `down` finds it."""
    up = desk.begin("up", "--yes")
    until(lambda: any(change.action == "machine.create" for change in fly.changes))
    up.kill()
    up.communicate()
    # Its lease runs out.
    fly.clock.advance(61)
    status = desk.status()
    assert status["state"] == "stopped" and "did not come to its end" in status["reason"]
    assert desk.run("down", "--yes").code == 0
    with pytest.raises(KeyError):
        fly.app(APP)
