"""`switch-transport` on a real host with a firewall: no call is cut, and the firewall follows when nobody needs it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import hosts
from tests.lab.hosts import Host
from tests.lab.ssh import Desk, run_of, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SECRETS = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "of the lab, and of nobody's account"}
SENTENCES = 14


@pytest.fixture(scope="module")
def walled(lab: object) -> Iterator[Host]:
    host = hosts.make("walled", firewall="ufw")
    yield host
    hosts.drop(host)


def project(desk: Desk) -> str:
    files = sorted(path for path in desk.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def udp_rules(host: Host) -> int:
    return host.run("ufw status").stdout.count("/udp ")


def test_there_and_back_under_a_running_call(walled: Host, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add(walled)
    desk.write(spec='[transport]\nkind = "webrtc"  # how callers come\n')
    for name, value in SECRETS.items():
        assert desk.run("secrets", "set", name, "--host", walled.name, stdin=value).code == 0
    up = desk.up(walled)
    assert up.code == 0 and up.json["call"]["ok"], up
    before, first = project(desk), up.json["release"]
    assert udp_rules(walled) > 0

    call = desk.talk(walled, SENTENCES)
    until(lambda: desk.status(walled)["sessions"] == 1)
    there = desk.run("switch-transport", "twilio", "--host", walled.name, "--yes", "--json")
    assert there.code == 0, there
    assert there.json["transport"] == "twilio" and there.json["call"]["ok"]
    assert not any("firewall" in step["summary"] for step in there.json["steps"])
    assert call.poll() is None, "it was to run all the while"
    assert udp_rules(walled) > 0, "the call needs its port"
    run = run_of(call, 180)
    assert run["ok"] and run["audio"]["lost"] == 0, run
    assert all(turn["voice_to_voice_ms"] is not None for turn in run["turns"]), run["turns"]
    assert len(run["turns"]) == SENTENCES

    until(lambda: not desk.status(walled)["draining"])
    closing = desk.up(walled)
    assert closing.code == 0, closing
    assert [step["change"] for step in closing.json["steps"] if "firewall" in step["summary"]] == ["-"]
    assert udp_rules(walled) == 0
    again = desk.up(walled)
    assert (again.code, again.json["changed"]) == (0, False)

    # The release of before needs its ports again, whichever way it comes back.
    back = desk.run("rollback", "--host", walled.name, "--yes", "--json")
    assert back.code == 0 and back.json["release"] == first and back.json["call"]["ok"], back
    assert udp_rules(walled) > 0
    home = desk.run("switch-transport", "webrtc", "--host", walled.name, "--yes", "--json")
    assert home.code == 0, home
    assert home.json["transport"] == desk.status(walled)["transport"] == "webrtc"
    assert project(desk) == before
    down = desk.run("down", "--host", walled.name, "--yes")
    assert down.code == 0, down
    assert udp_rules(walled) == 0
