"""`--provider vm` by the real command, on real hosts with systemd and sshd, with real calls."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import hosts
from tests.lab.hosts import Host
from tests.lab.ssh import Desk, run_of
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home(lab: object) -> Iterator[Host]:
    host = hosts.make("home")
    yield host
    hosts.drop(host)


@pytest.fixture(scope="module")
def desk(home: Host, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk from which a bot has been brought to a bare host, by one command."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.add(home)
    up = desk.up(home)
    assert up.code == 0, up
    said = up.json
    assert said["changed"] is True and said["provider"] == "vm"
    assert said["url"] == f"https://{home.address}/"
    # Heard through Caddy, with a certificate, from where the command was typed.
    assert said["call"]["ok"] is True and said["call"]["audio"]["lost"] == 0
    return desk


def test_a_second_up_changes_nothing(desk: Desk, home: Host) -> None:
    before = desk.status(home)
    again = desk.up(home)
    assert again.code == 0, again
    assert (again.json["changed"], again.json["steps"], again.json["call"]) == (False, [], None)
    assert desk.status(home)["release"] == before["release"]


def test_what_the_world_can_reach(desk: Desk, home: Host) -> None:
    listening = home.run("ss -Hlntup").stdout
    open_to_all = {
        match[1]
        for line in listening.splitlines()
        if (match := re.search(r"(?:\*|0\.0\.0\.0|\[::\]):(\d+)\s", line)) and "sshd" not in line
    }
    assert open_to_all <= {"80", "443"}, listening
    unit = home.run("systemctl list-units --no-legend --plain 'voicedeploy-talker@*'").stdout.split()[0]
    score = home.run(f"systemd-analyze security --no-pager {unit}").stdout
    match = re.search(r"Overall exposure level for .*: ([\d.]+)", score)
    assert match and float(match[1]) <= 2.0, score
    said = home.run(f"systemd-analyze verify /etc/systemd/system/{unit} 2>&1", check=False).stdout
    assert "voicedeploy" not in said, said


def test_a_secret_is_nowhere_to_be_read(desk: Desk, home: Host) -> None:
    value = "".join(("sk-", "lab-", "4711-", "never-shown"))
    assert desk.run("secrets", "set", "A_KEY", "--host", home.name, stdin=value).code == 0
    plan = desk.run("up", "--host", home.name, "--dry-run", "--json")
    up = desk.up(home)
    assert up.code == 0, up
    listed = desk.run("secrets", "list", "--host", home.name, "--json")
    for said in (plan, up, listed):
        assert value not in said.out + said.err
    assert listed.json["secrets"][0]["set"] is True
    half = value[3:]
    found = home.run(
        f"{{ journalctl --no-pager; systemctl cat 'voicedeploy-*'; cat /proc/[0-9]*/cmdline;"
        f" cat /opt/voicedeploy/bots/talker/*.log /opt/voicedeploy/bots/talker/releases/*/front.toml; }} 2>/dev/null"
        f" | grep -a -c '{half[:9]}[-]{half[10:]}' || true"
    ).stdout.strip()
    assert found == "0"
    owner = home.run(
        "stat -c '%U %a' /opt/voicedeploy/bots/talker/secrets.json /opt/voicedeploy/bots/talker/key"
    ).stdout
    assert owner.split("\n")[:2] == ["root 600", "root 600"]
    assert desk.run("secrets", "unset", "A_KEY", "--host", home.name).code == 0


def test_a_reboot_in_the_middle_of_a_deploy(desk: Desk, home: Host) -> None:
    before = desk.status(home)["release"]
    desk.change()
    up = desk.popen("up", "--host", home.name, "--yes", "--json")
    until(lambda: "activ" in home.run("systemctl list-units --no-legend --plain 'voicedeploy-talker@*' | "
                                       f"grep -v '@{before}' || true").stdout)  # fmt: skip
    home.reboot()
    up.communicate(timeout=240)
    assert up.returncode in (0, 4)
    until(lambda: desk.status(home)["state"] == "running")
    assert run_of(desk.popen("call", "--host", home.name, "--turns", "1", "--json"))["ok"]
    again = desk.up(home)
    assert again.code == 0, again
    assert desk.status(home)["release"] == again.json["release"]


def test_logs_of_one_call(desk: Desk, home: Host) -> None:
    run = run_of(desk.popen("call", "--host", home.name, "--turns", "1", "--json"))
    said = desk.run("logs", "--host", home.name, "--json", "-n", "200", "--session", run["session_id"])
    events = [json.loads(line) for line in said.out.splitlines()]
    assert {event["session"] for event in events} == {run["session_id"]}
    assert {"session-started", "ended"} <= {event["event"] for event in events}


def test_two_bots_on_one_host(desk: Desk, home: Host, tmp_path: Path) -> None:
    other = Desk(tmp_path, "second")
    other.add(home)
    other.write("second", slots=2, spec='[provider.vm]\ndomain = "second.lab"\nhttps = "internal"\n')
    up = other.up(home, "--no-call")
    assert up.code == 0, up
    try:
        ports = home.run("cat /opt/voicedeploy/bots/*/ports").stdout
        assert len(set(re.findall(r"tcp = (\d+)", ports))) == 2
        assert len(set(re.findall(r'udp = "(.*)"', ports))) == 2
        assert desk.status(home)["state"] == other.status(home)["state"] == "running"
        assert run_of(desk.popen("call", "--host", home.name, "--turns", "1", "--json"))["ok"]
    finally:
        down = other.run("down", "--host", home.name, "--yes")
        assert down.code == 0, down
    assert desk.status(home)["state"] == "running"
    assert "second" not in home.run("ls /opt/voicedeploy/bots /etc/caddy/voicedeploy /etc/systemd/system").stdout


def test_two_people_at_once(desk: Desk, home: Host) -> None:
    desk.change()
    first = desk.popen("up", "--host", home.name, "--yes", "--json")
    until(lambda: home.run("[ -s /opt/voicedeploy/bots/talker/lock ]", check=False).returncode == 0)
    second = desk.up(home)
    assert second.code == 3
    assert "voicedeploy up" in second.json["error"]["message"]
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err or out


def test_down_leaves_nothing_of_ours(lab: object, tmp_path: Path) -> None:
    host = hosts.make("leaving", firewall="ufw")
    try:
        desk = Desk(tmp_path)
        desk.add(host)
        look = (
            "find /opt /etc/systemd/system /etc/caddy /var/lib/private /run/voicedeploy -mindepth 1 2>/dev/null"
            " | grep -v -e '/etc/caddy$' -e Caddyfile | sort; ufw status"
        )
        before = host.run(look).stdout
        up = desk.up(host)
        assert up.code == 0, up
        assert "# voicedeploy talker" in host.run("ufw status").stdout
        down = desk.run("down", "--host", host.name, "--yes")
        assert down.code == 0, down
        after = host.run(look).stdout
        assert [line for line in after.splitlines() if "caddy" not in line] == before.splitlines()
        assert desk.run("down", "--host", host.name, "--yes").out.startswith("nothing to take away")
    finally:
        hosts.drop(host)
