"""`switch-transport` on a real host with a firewall: each way is proved, no call is cut, and the firewall follows when
nobody needs it."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

import tests.serve.rooms
from tests.lab import hosts, warm
from tests.lab.hosts import Host, network
from tests.lab.ssh import Desk, run_of
from tests.serve.rooms import daily_standin
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.standin import standing
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SECRETS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "of-the-lab-and-of-nobodys-account",
    "DAILY_API_KEY": daily_standin.KEY,
    "DAILY_STUB": "/tmp",  # noqa: S108 - the unit has one of its own
}
SENTENCES = 14


@pytest.fixture(scope="module")
def walled(lab: object) -> Iterator[Host]:
    host = warm.host("walled", firewall="ufw")
    yield host
    hosts.drop(host)


@pytest.fixture
def daily(walled: Host) -> Iterator[Daily]:
    """Daily's API, where the hosts find this machine."""
    daily = Daily()
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(standing(daily, network.GATEWAY4)):
        yield daily


def project(desk: Desk) -> str:
    files = sorted(path for path in desk.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def switch(desk: Desk, host: Host, kind: str) -> dict[str, Any]:
    bot = (desk.root / "bot.py").read_bytes()
    done = desk.run("switch-transport", kind, "--host", host.name, "--yes", "--json")
    assert done.code == 0, done
    assert (done.json["transport"], done.json["call"]["ok"]) == (kind, True)
    assert (desk.root / "bot.py").read_bytes() == bot
    return done.json


def firewall(answer: dict[str, Any]) -> list[str]:
    return [step["change"] for step in answer["steps"] if "firewall" in step["summary"]]


def udp_rules(host: Host) -> int:
    return host.run("ufw status").stdout.count("/udp ")


def test_round_and_back_under_a_running_call(walled: Host, daily: Daily, tmp_path: Path) -> None:
    """A stub of daily-python lies in the bot's folder: nobody is heard in the room, and the others' calls are."""
    desk = Desk(tmp_path)
    desk.add(walled)
    desk.write(spec='[transport]\nkind = "webrtc"  # how callers come\n')
    shutil.copy(Path(tests.serve.rooms.__file__).with_name("stub_daily.py"), desk.root / "daily.py")
    (desk.root / "requirements.txt").write_text("pipecat-ai[webrtc,websocket,daily]==1.14.0\n")
    values = tmp_path / "env"
    values.write_text("".join(f"{name}={value}\n" for name, value in (SECRETS | {"DAILY_API_URL": daily.api}).items()))
    assert desk.run("secrets", "set", "--from", str(values), "--host", walled.name).code == 0
    up = desk.up(walled)
    assert up.code == 0 and up.json["call"]["ok"], up
    before, first = project(desk), up.json["release"]
    assert udp_rules(walled) > 0

    call = desk.talk(walled, SENTENCES)
    until(lambda: desk.status(walled)["sessions"] == 1)
    there = switch(desk, walled, "twilio")
    assert there["call"]["first_word_ms"] > 0, there["call"]
    assert not firewall(there)
    assert call.poll() is None, "it was to run all the while"
    assert udp_rules(walled) > 0, "the call needs its port"
    run = run_of(call, 180)
    assert run["ok"] and run["audio"]["lost"] == 0, run
    assert all(turn["voice_to_voice_ms"] is not None for turn in run["turns"]), run["turns"]
    assert len(run["turns"]) == SENTENCES

    until(lambda: not desk.status(walled)["draining"])
    assert (daily.made, daily.asked) == (0, [])
    room = switch(desk, walled, "daily")
    assert room["call"]["joined_ms"] > 0, room["call"]
    assert daily.made == 2, "called on the host before it gets traffic, and from here after"
    until(lambda: not daily.rooms, 30)
    assert firewall(room) == ["-"], "nobody is on a port of it any more"
    assert udp_rules(walled) == 0
    again = desk.up(walled)
    assert (again.code, again.json["changed"]) == (0, False)

    # The release of before needs its ports again, whichever way it comes back.
    back = desk.run("rollback", first, "--host", walled.name, "--dry-run", "--json")
    assert back.code == 0 and firewall(back.json) == ["+"], back
    home = switch(desk, walled, "webrtc")
    assert home["call"]["first_word_ms"] > 0, home["call"]
    assert firewall(home) == ["+"]
    assert udp_rules(walled) > 0
    assert desk.status(walled)["transport"] == "webrtc"
    assert desk.status(walled)["release"] == first, "the very release it began with"
    assert project(desk) == before
    assert (daily.made, daily.rooms) == (2, {})
    down = desk.run("down", "--host", walled.name, "--yes")
    assert down.code == 0, down
    assert udp_rules(walled) == 0
