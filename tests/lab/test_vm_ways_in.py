"""Hosts that `up` may not touch yet, and hosts that are reached in another way: the whole command, on real ones."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import hosts
from tests.lab.hosts import Host, network
from tests.lab.hosts.fixtures import MakeHost
from tests.lab.proxy import proxied
from tests.lab.ssh import Desk

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

UNTOUCHED = "ls /opt /etc/caddy /etc/systemd/system/voicedeploy* 2>/dev/null"


@pytest.fixture(scope="module")
def home(lab: object) -> Iterator[Host]:
    """For commands that change nothing on it."""
    host = hosts.make("kept")
    yield host
    hosts.drop(host)


@pytest.fixture
def desk(home: Host, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.add(home)
    return desk


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A key that no host knows; its public half is beside it."""
    key = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


def refused(desk: Desk, home: Host) -> tuple[str, str]:
    """Message and hint of an `up` that ends with exit code 3 and leaves the host as it was."""
    before = home.run(UNTOUCHED, check=False).stdout
    up = desk.up(home)
    assert up.code == 3, up
    assert home.run(UNTOUCHED, check=False).stdout == before
    error = up.json["error"]
    return error["message"], error["hint"]


def fingerprint(public: str) -> str:
    """As OpenSSH itself tells it."""
    listed = subprocess.run(["ssh-keygen", "-lf", "-"], input=public, capture_output=True, text=True, check=True)
    return listed.stdout.split()[1]


def test_an_unknown_host_key(desk: Desk, home: Host) -> None:
    known = desk.config.with_name("known_hosts")
    known.write_text("")
    message, hint = refused(desk, home)
    assert "unknown host key" in message
    assert fingerprint(home.host_key) in message
    assert f"`ssh {home.name} true`" in hint
    assert known.read_text() == "", "nothing is taken on trust"
    # The command of the hint, and somebody who says yes.
    subprocess.run(
        ["ssh", "-o", "StrictHostKeyChecking=accept-new", home.name, "true"], env=desk.environment, check=True
    )
    assert desk.run("check", "--host", home.name, "--json").code == 0


def test_a_changed_host_key(desk: Desk, home: Host, stranger: Path) -> None:
    other = stranger.with_suffix(".pub").read_text()
    known = desk.config.with_name("known_hosts")
    known.write_text(f"{home.address} {other}")
    message, hint = refused(desk, home)
    assert "THE HOST KEY HAS CHANGED" in message
    assert fingerprint(other) in message and fingerprint(home.host_key) in message and f"{known}:1" in message
    assert f"`ssh-keygen -R '{home.address}' -f {known}`" in hint


def test_a_key_that_the_host_does_not_take(desk: Desk, home: Host, stranger: Path) -> None:
    desk.config.write_text(desk.config.read_text().replace(str(home.key), str(stranger)))
    message, hint = refused(desk, home)
    assert f"takes none of the keys for user `{home.user}`" in message and str(stranger) in message
    assert f"ssh-copy-id -i {stranger} {home.user}@{home.address}" in hint


def test_a_password_for_sudo_and_nobody_to_ask(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("asks", sudo="password")
    desk = Desk(tmp_path)
    desk.add(host)
    message, hint = refused(desk, host)
    assert "sudo wants the password of `ops`" in message and "no terminal" in message
    assert "NOPASSWD" in hint


@pytest.mark.parametrize(
    ("ahead", "said"),
    [("1 day", "24 h ahead"), ("5 years", "1826 days ahead"), ("3 years ago", "1096 days behind")],
)
def test_a_clock_that_is_wrong(desk: Desk, home: Host, ahead: str, said: str) -> None:
    """Hosts of the lab share this machine's clock, so only `date` lies here: it is what the look at a host asks. What a
    wrong clock breaks on a host is not shown, and nothing gets so far."""
    home.run(f'printf \'#!/bin/sh\\nexec /bin/date --date="{ahead}" "$@"\\n\' > /usr/local/bin/date')
    home.run("chmod +x /usr/local/bin/date")
    try:
        check = desk.run("check", "--host", home.name, "--json")
        assert check.code == 3
        (clock,) = [finding for finding in check.json["findings"] if finding["code"] == "VD204"]
        assert clock["severity"] == "error" and said in clock["message"]
        message, hint = refused(desk, home)
        assert said in message
        assert "timedatectl set-ntp true" in hint
    finally:
        home.run("rm /usr/local/bin/date")


def test_a_host_without_ipv4_from_nothing_to_a_call(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("six", ipv4=False)
    desk = Desk(tmp_path)
    desk.add(host)
    with proxied(host, network.GATEWAY6):
        check = desk.run("check", "--host", host.name, "--json")
        assert check.code == 0, check
        assert "VD303" in [finding["code"] for finding in check.json["findings"]]
        up = desk.up(host)
    assert up.code == 0, up
    assert up.json["url"] == f"https://[{host.address}]/"
    assert up.json["call"]["ok"] is True and up.json["call"]["audio"]["lost"] == 0
    assert host.address in up.json["call"]["candidate_pair"]["remote"]
    assert desk.up(host).json["changed"] is False
