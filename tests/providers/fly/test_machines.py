"""The stand-in's machines are processes: how they start, end, crash, and what they are given."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from voicedeploy_providers.fly.api import (
    Changed,
    Fly,
    Guest,
    Init,
    Machine,
    NoCapacity,
    Refused,
    Restart,
    StopConfig,
    Token,
    Unanswered,
)

from tests.providers.fly.house import House, config
from tests.providers.fly.standin import Image, Settings, Standin
from tests.providers.fly.standin.disk import isolation
from tests.waiting import soon


def pid(house: House, name: str = "bot-1") -> int:
    process = house.standin.machine("voice-bot", name).process
    assert process is not None
    return process.pid


def env(house: House) -> dict[str, str]:
    shown: dict[str, str] = httpx.get(f"{house.site}/who").json()["env"]
    return shown


def states(machine: Machine) -> list[str]:
    return [event.status for event in reversed(machine.events)]


def test_a_machine_is_a_process_that_ends_with_it(house: House) -> None:
    made = house.machine()
    running = pid(house)
    assert psutil.pid_exists(running)
    house.app.machines.destroy(made.id, force=True)
    house.app.machines.wait(made.id, "destroyed")
    assert not psutil.pid_exists(running)


def test_nothing_survives_the_stand_in() -> None:
    with Standin() as standin:
        sleeper = "import subprocess,sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
        standin.images.add("echo", Image(("python3", "-c", sleeper)))
        with Fly(Token.parse(standin.token), standin.places) as fly:
            fly.apps.create("voice-bot", "personal")
            made = fly.app("voice-bot").machines.create("bot-1", config(), region="fra")
            fly.app("voice-bot").machines.wait(made.id, "started")
        running = pid(House(standin, fly.app("voice-bot")))
        family = psutil.Process(running)
        soon(lambda: bool(family.children()))
        children = family.children()
    assert not psutil.pid_exists(running)
    soon(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def test_its_states_come_one_after_the_other(house: House) -> None:
    made = house.machine()
    assert made.state == "created"
    assert states(house.now(made)) == ["created", "starting", "started"]
    house.app.machines.stop(made.id)
    house.app.machines.wait(made.id, "stopped")
    assert states(house.now(made))[3:] == ["stopping", "stopped"]


def test_it_gets_its_env_the_secrets_and_who_it_is(house: House) -> None:
    house.app.secrets.update({"KEY": "sesame"})
    made = house.machine(env={"COLOUR": "blue"})
    seen = env(house)
    assert (seen["COLOUR"], seen["KEY"], seen["FLY_MACHINE_ID"]) == ("blue", "sesame", made.id)
    assert (seen["FLY_APP_NAME"], seen["FLY_REGION"]) == ("voice-bot", "fra")
    assert seen["FLY_MACHINE_VERSION"] == made.instance_id
    assert "FLY_API_TOKEN" not in seen


def test_secrets_reach_machines_that_start_and_no_others(house: House) -> None:
    house.app.secrets.update({"KEY": "old"})
    made = house.machine()
    house.app.secrets.update({"KEY": "new"})
    assert env(house)["KEY"] == "old"
    house.app.machines.stop(made.id)
    house.app.machines.wait(made.id, "stopped")
    house.app.machines.start(made.id)
    house.app.machines.wait(made.id, "started")
    soon(lambda: house.standin.machine("voice-bot", "bot-1").healthy)
    assert env(house)["KEY"] == "new"


@pytest.mark.parametrize(("asked", "key"), [(0, "old"), (2, "new")])
def test_a_machine_that_asks_for_no_version_may_start_with_older_secrets(house: House, asked: int, key: str) -> None:
    house.standin.settings.secrets_lag_s = 60
    house.app.secrets.update({"KEY": "old"})
    house.standin.clock.advance(100)
    house.app.secrets.update({"KEY": "new"})
    house.app.machines.create("bot-1", config(), region="fra", min_secrets_version=asked)
    soon(lambda: house.standin.machine("voice-bot", "bot-1").healthy)
    assert env(house)["KEY"] == key


def test_a_version_of_secrets_that_is_not_there(house: House) -> None:
    with pytest.raises(Refused, match="min_secrets_version"):
        house.app.machines.create("bot-1", config(), region="fra", min_secrets_version=1)


def test_one_that_does_not_end_is_killed_after_its_time(house: House) -> None:
    made = house.machine(env={"STUBBORN": "1"})
    running = pid(house)
    house.app.machines.stop(made.id, timeout_s=100)
    time.sleep(0.3)
    house.standin.clock.advance(90)
    time.sleep(0.3)
    assert house.now(made).state == "stopping"
    assert psutil.pid_exists(running)
    house.standin.clock.advance(20)
    house.app.machines.wait(made.id, "stopped")
    exits = [event.exit_code for event in house.now(made).events if event.type == "exit"]
    assert exits == [137]


def test_no_time_is_longer_than_300_seconds(house: House) -> None:
    made = house.machine(env={"STUBBORN": "1"}, stop_config=StopConfig(signal="SIGTERM", timeout="24h"))
    house.app.machines.update(house.now(made), config(image="nowhere/none:1"))
    time.sleep(0.3)
    house.standin.clock.advance(301)
    assert house.app.machines.wait(made.id, "failed") == "failed"


def test_a_crash_is_restarted_as_often_as_its_policy_says(house: House) -> None:
    made = house.app.machines.create(
        "bot-1", config(env={"EXIT": "3"}, restart=Restart(policy="on-failure", max_retries=2)), region="fra"
    )
    house.app.machines.wait(made.id, "stopped", timeout_s=10)
    seen = house.now(made)
    assert states(seen).count("started") == 3
    assert [event.exit_code for event in seen.events if event.exit_code is not None] == [3, 3, 3]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("no", 1, False), ("on-failure", 0, False), ("on-failure", 1, True), ("always", 0, True)],
)
def test_what_ends_by_itself_starts_again_only_if_its_policy_says(
    house: House, policy: str, code: int, again: bool
) -> None:
    made = house.machine(restart=Restart(policy=policy))
    with pytest.raises(httpx.HTTPStatusError):
        httpx.get(f"{house.site}/die?code={code}").raise_for_status()
    machine = house.standin.machine("voice-bot", "bot-1")
    soon(lambda: machine.state == "stopped" or (len(machine.events) > 5 and machine.state == "started"))
    assert (house.now(made).state == "started") is again


def test_a_machine_for_one_call_goes_when_its_program_ends(house: House) -> None:
    made = house.app.machines.create(
        "call-1", config(env={"EXIT": "0"}, auto_destroy=True, restart=Restart(policy="no")), region="fra"
    )
    house.app.machines.wait(made.id, "destroyed", timeout_s=10)
    assert house.app.machines.list() == ()


def test_an_update_carries_on_what_ran_and_only_that(house: House) -> None:
    made = house.machine()
    first = pid(house)
    updated = house.app.machines.update(house.now(made), config(env={"COLOUR": "red"}))
    assert updated.state == "replacing"
    assert house.app.machines.wait(made.id, "started", version=updated.instance_id) == "started"
    soon(lambda: house.standin.machine("voice-bot", "bot-1").healthy)
    assert env(house)["COLOUR"] == "red"
    assert not psutil.pid_exists(first)


def test_one_that_stops_is_not_started_at_once(house: House) -> None:
    made = house.machine(env={"STUBBORN": "1"})
    house.app.machines.stop(made.id, timeout_s=60)
    with pytest.raises(Changed, match="still active"):
        house.app.machines.start(made.id)


def test_an_image_that_is_not_there_fails(house: House) -> None:
    made = house.app.machines.create("bot-1", config(image="nowhere/none:1"), region="fra")
    assert house.app.machines.wait(made.id, "started", "failed") == "failed"
    assert "manifest unknown" in house.app.logs.page(machine=made.id).lines[-1].message


def test_another_program_of_the_same_image(house: House) -> None:
    made = house.app.machines.create(
        "bot-1", config(init=Init(exec=("sh", "-c", "echo $COLOUR; exit 4")), env={"COLOUR": "blue"}), region="fra"
    )
    house.app.machines.wait(made.id, "stopped", timeout_s=10)
    assert [line.message for line in house.app.logs.page(machine=made.id).lines] == ["blue"]


def test_checks_are_really_made(house: House) -> None:
    made = house.app.machines.create("bot-1", config(env={"HEALTH": "503"}), region="fra")
    house.app.machines.wait(made.id, "started")
    soon(lambda: "503" in str(house.now(made).checks))
    assert not house.now(made).healthy
    assert [check.status for check in house.now(made).checks] == ["critical"]


def test_checks_that_never_pass(house: House) -> None:
    house.standin.settings.sick = {"bot-1"}
    made = house.app.machines.create("bot-1", config(), region="fra")
    house.app.machines.wait(made.id, "started")
    soon(lambda: bool(house.now(made).checks))
    time.sleep(0.5)
    assert not house.now(made).healthy


def test_a_host_that_cannot_be_reached_shows_half_a_configuration(house: House) -> None:
    made = house.app.machines.create("bot-1", config(udp=40000), region="fra", launch=False)
    house.standin.settings.unreachable = {"bot-1"}
    seen = house.now(made)
    assert seen.config is None
    assert seen.incomplete_config is not None
    assert seen.incomplete_config.services == ()
    assert seen.metadata == made.metadata
    assert seen.host_status == "unreachable"


def test_lists_are_behind(house: House) -> None:
    house.standin.settings.list_lag_s = 5
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    assert house.app.machines.list() == ()
    assert house.now(made).id == made.id
    house.standin.clock.advance(6)
    assert len(house.app.machines.list()) == 1


def test_several_regions_without_room(house: House) -> None:
    house.standin.settings.full_regions = {"fra", "ams"}
    for region in ("fra", "ams"):
        with pytest.raises(NoCapacity):
            house.app.machines.create("bot-1", config(), region=region)
    assert house.app.machines.list() == ()


def test_limits_can_be_switched_off() -> None:
    with Standin(Settings(limits=False)) as standin, Fly(Token.parse(standin.token), standin.places) as fly:
        for _ in range(20):
            fly.platform.regions()
    assert {seen.status for seen in standin.requests} == {200}


def test_a_crash_from_outside(house: House) -> None:
    house.machine(restart=Restart(policy="always"))
    first = pid(house)
    house.standin.crash("voice-bot", "bot-1")
    soon(lambda: not psutil.pid_exists(first))
    soon(lambda: house.standin.machine("voice-bot", "bot-1").healthy)
    assert pid(house) != first


def test_only_what_changes_something_counts_as_a_change(house: House) -> None:
    before = len(house.standin.changes)
    house.app.machines.list()
    house.app.ips.list()
    assert len(house.standin.changes) == before == 1
    assert house.standin.changes[0].action == "app.create"


def test_a_program_runs_beside_the_machines_own(house: House) -> None:
    house.app.secrets.update({"KEY": "sesame"})
    made = house.machine()
    script = "read line; echo $line $KEY $FLY_MACHINE_ID; echo no >&2; exit 3"
    ran = house.app.machines.run(made.id, ["sh", "-c", script], stdin="open\n")
    assert (ran.exit_code, ran.stdout) == (3, f"open sesame {made.id}\n")
    assert ran.stderr == "no\n"
    assert "sesame" not in repr(ran)
    with pytest.raises(Unanswered):
        house.app.machines.run(made.id, ["sleep", "60"], timeout_s=1)
    house.app.machines.stop(made.id)
    house.app.machines.wait(made.id, "stopped")
    with pytest.raises(Changed):
        house.app.machines.run(made.id, ["true"])


_KILLED = """
import sys, time
from tests.providers.fly.house import House, config
from tests.providers.fly.standin import Image, Standin
from voicedeploy_providers.fly.api import Fly, Token
with Standin() as standin, Fly(Token.parse(standin.token), standin.places) as fly:
    standin.images.add("echo", Image(("sleep", "600")))
    fly.apps.create("voice-bot", "personal")
    made = fly.app("voice-bot").machines.create("bot-1", config(), region="fra")
    fly.app("voice-bot").machines.wait(made.id, "started")
    print(standin.machine("voice-bot", "bot-1").process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("kind", "cpus", "memory_mb"), [("shared", 1, 300), ("shared", 1, 4096), ("performance", 2, 2048), ("huge", 1, 512)]
)
def test_a_guest_that_there_is_not(house: House, kind: str, cpus: int, memory_mb: int) -> None:
    guest = Guest(cpu_kind=kind, cpus=cpus, memory_mb=memory_mb)
    with pytest.raises(Refused, match="invalid_argument"):
        house.app.machines.create("bot-1", config(guest=guest), region="fra")


@pytest.mark.skipif(isolation() != "disk", reason="only as root")
def test_nothing_survives_a_test_that_is_killed(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", _KILLED], env=env, stdout=subprocess.PIPE, text=True) as test:
        assert test.stdout is not None
        running = int(test.stdout.readline())
        soon(lambda: psutil.Process(running).name() == "sleep")
        test.kill()
    soon(lambda: not psutil.pid_exists(running))
