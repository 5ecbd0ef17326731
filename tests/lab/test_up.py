"""`voicedeploy up` on this machine, by the real command, with real calls."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.lab import warm
from tests.lab.local import Place

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The talker, up and running; each test leaves it running."""
    place = Place(tmp_path_factory.mktemp("live"), udp="21000-21007", forks=False)
    place.talker()
    try:
        up = place.run("up", "--json")
        assert up.code == 0, up
        said = up.json
        assert said["changed"] is True
        assert said["call"]["ok"] is True
        assert said["call"]["first_word_ms"] > 0
        assert said["url"] == f"http://localhost:{place.port}/"
        yield place
    finally:
        place.close()


def change(place: Place) -> None:
    """Another release: the same bot with a remark more."""
    with (place.root / "bot.py").open("a") as file:
        file.write(f"# {time.monotonic_ns()}\n")


def call_of(program: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    run: dict[str, Any] = json.loads(out)["runs"][0]
    return run


def test_a_second_up_changes_nothing(live: Place) -> None:
    before = live.status()
    again = live.run("up", "--json")
    assert again.code == 0, again
    assert again.json["changed"] is False
    assert again.json["steps"] == []
    assert live.status() == before


def test_status_is_found_from_any_folder_and_any_shell(live: Place, tmp_path: Path) -> None:
    there = subprocess.run(
        [sys.executable, "-m", "voicedeploy", "status", "--json"],
        cwd=tmp_path, env=live.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (one,) = json.loads(there.stdout)["deployments"]
    assert (one["bot"], one["state"], one["slots"]) == ("talker", "running", 2)


def test_dry_run_prints_the_plan_and_does_nothing(live: Place) -> None:
    change(live)
    before = live.status()
    plan = live.run("up", "--dry-run", "--json").json
    assert plan["have"] == before["release"]
    assert plan["want"] not in (None, before["release"])
    assert [step["change"] for step in plan["steps"]]
    assert live.status() == before


def test_back_to_the_release_before(live: Place) -> None:
    before = live.status()["release"]
    change(live)
    newer = live.run("up", "--json", "--no-call").json["release"]
    back = live.run("rollback", "--json")
    assert back.code == 0, back
    assert (back.json["have"], back.json["release"], back.json["changed"]) == (newer, before, True)
    assert back.json["call"]["ok"] is True
    assert live.status()["release"] == before
    listed = {r["release"]: r["state"] for r in live.run("releases", "--json").json["releases"]}
    assert listed[before] == "live" and newer in listed
    assert live.run("rollback", before, "--json").json["changed"] is False
    assert live.run("rollback", "0000000").code == 2


def test_a_changed_line_replaces_the_release_and_cuts_no_call(live: Place) -> None:
    old = live.status()["release"]
    talking = live.begin("call", "--turns", "4", "--json")
    live.until_calls(1)
    change(live)
    up = live.run("up", "--json")
    assert up.code == 0, up
    after = live.status()
    assert after["release"] == up.json["release"] != old
    run = call_of(talking)
    assert run["ok"], run
    assert len([turn for turn in run["turns"] if turn["voice_to_voice_ms"]]) == 4
    assert run["audio"]["lost"] == 0
    until = time.monotonic() + 20
    while live.status()["draining"]:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_release_that_does_not_start_never_gets_a_call(live: Place) -> None:
    before = live.status()
    good = (live.root / "bot.py").read_text()
    (live.root / "bot.py").write_text("import no_such_module_anywhere\n" + good)
    try:
        up = live.run("up")
        assert up.code == 4, up
        assert up.seconds < 30
        assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in up.err
        assert "bot.py:1" in up.err
        assert "hint: " in up.err
        after = live.status()
        assert (after["release"], after["state"]) == (before["release"], "running")
        assert live.run("call", "--turns", "1").code == 0
    finally:
        (live.root / "bot.py").write_text(good)
    assert live.run("up").code == 0


def test_a_bot_that_is_silent_is_not_put_live(live: Place) -> None:
    before = live.status()
    good = (live.root / "bot.py").read_text()
    (live.root / "bot.py").write_text(good + "\ntone = lambda seconds: TTSAudioRawFrame(b'\\0' * 4800, RATE, 1)\n")
    try:
        up = live.run("up")
        assert up.code == 4, up
        assert "not heard" in up.err
        assert live.status()["release"] == before["release"]
    finally:
        (live.root / "bot.py").write_text(good)
    assert live.run("up").code == 0


def test_two_ups_at_once(live: Place) -> None:
    change(live)
    first, second = live.begin("up", "--json"), live.begin("up", "--json")
    ends = []
    for program in (first, second):
        out, _ = program.communicate(timeout=120)
        ends.append((program.returncode, json.loads(out)))
    codes = sorted(code for code, _ in ends)
    assert codes == [0, 3], ends
    (refused,) = [said for code, said in ends if code == 3]
    assert refused["error"]["code"] == "locked"
    assert "voicedeploy up" in refused["error"]["message"]
    assert live.status()["state"] == "running"


def test_ctrl_c_takes_back_what_was_begun(live: Place) -> None:
    before = live.status()
    change(live)
    up = live.begin("up")
    assert up.stderr is not None
    for line in up.stderr:
        if line.startswith("+ front"):
            break
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)
    assert up.returncode == 130
    after = live.status()
    assert (after["release"], after["state"], after["draining"]) == (before["release"], "running", [])
    assert live.run("up").code == 0


def test_up_repairs_what_a_killed_up_left(live: Place) -> None:
    change(live)
    up = live.begin("up")
    assert up.stderr is not None
    for line in up.stderr:
        if line.startswith("✓ ready"):
            break
    up.kill()
    up.communicate()
    repaired = live.run("up", "--json")
    assert repaired.code == 0, repaired
    status = live.status()
    assert (status["release"], status["state"], status["draining"]) == (repaired.json["release"], "running", [])


def test_a_front_that_was_killed_comes_back_with_up(live: Place) -> None:
    release = live.status()["release"]
    record = json.loads((live.state / "voicedeploy" / "talker" / "run" / release / "front.pid").read_text())
    children = psutil.Process(record["pid"]).children(recursive=True)
    os.kill(record["pid"], signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert live.status()["state"] == "stopped"
    assert live.run("call").code == 4
    up = live.run("up", "--json")
    assert up.code == 0, up
    assert live.status()["state"] == "running"


def test_a_changed_secret_restarts_the_bot_and_is_never_shown(live: Place) -> None:
    value = "s3cret-1234567890"
    assert live.run("secrets", "set", "TALKER_KEY", stdin=value).code == 0
    listed = live.run("secrets", "list")
    assert "TALKER_KEY" in listed.out
    assert value not in listed.out
    plan = live.run("up", "--dry-run", "--json")
    assert plan.json["steps"]
    up = live.run("up", "--json")
    assert up.code == 0, up
    release = up.json["release"]
    record = json.loads((live.state / "voicedeploy" / "talker" / "run" / release / "front.pid").read_text())
    family = [psutil.Process(record["pid"]), *psutil.Process(record["pid"]).children(recursive=True)]
    assert any(value in p.environ().values() for p in family)
    assert not any(value in " ".join(p.cmdline()) for p in family)
    said = plan.out + plan.err + up.out + up.err
    logged = "".join(p.read_text() for p in (live.state / "voicedeploy" / "talker" / "run").rglob("*") if p.is_file())
    assert value not in said + logged
    assert live.run("secrets", "unset", "TALKER_KEY").code == 0
    assert live.run("up").code == 0


def test_logs_of_one_call(live: Place) -> None:
    run = call_of(live.begin("call", "--turns", "1", "--json"))
    session = run["session_id"]
    logs = live.run("logs", "--session", session, "-n", "1000", "--json").out.splitlines()
    assert logs
    assert {json.loads(line)["session"] for line in logs} == {session}
    assert len(live.run("logs", "-n", "2").out.splitlines()) == 2


def test_logs_follow(live: Place) -> None:
    follow = live.begin("logs", "-f", "-n", "0")
    assert follow.stdout is not None
    time.sleep(1)
    assert live.run("call", "--turns", "0").code == 0
    assert follow.stdout.readline().strip()
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=10)
    assert follow.returncode == 130


def test_many_calls_and_a_report(live: Place, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    made = live.run("call", "--sessions", "2", "--turns", "1", "--report", str(report), "--json")
    assert made.code == 0, made
    assert made.json["summary"]["ok"] == 2
    text = report.read_text()
    assert "<html" in text


def test_more_callers_than_slots_are_told_so(live: Place) -> None:
    made = live.run("call", "--sessions", "4", "--turns", "1", "--json")
    assert made.code == 4
    errors = [run["error"]["code"] for run in made.json["runs"] if run["error"]]
    assert errors == ["busy", "busy"]


def test_down_leaves_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, udp="21010-21017")
    place.talker()
    warm.furnish(place.root, place.state)
    try:
        assert place.run("up", "--no-call").code == 0
        release = place.status()["release"]
        record = json.loads((place.state / "voicedeploy" / "talker" / "run" / release / "front.pid").read_text())
        family = [psutil.Process(record["pid"]), *psutil.Process(record["pid"]).children(recursive=True)]
        refused = place.run("down")
        assert refused.code == 3
        assert "--yes" in refused.err
        down = place.run("down", "--yes", "--json")
        assert down.code == 0, down
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
        assert place.run("status", "--json").json == {"deployments": []}
        assert not (place.state / "voicedeploy" / "talker").exists()
        assert "nothing to take away" in place.run("down", "--yes").out
    finally:
        place.close()
