"""The hosts that other tests deploy to: what those tests rely on is true."""

import subprocess
from pathlib import Path

import pytest

from tests.lab.hosts import Host
from tests.lab.hosts.fixtures import MakeHost

# The first host of a week waits for the root file system.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def ssh(host: Host, folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """By the OpenSSH client, as its user."""
    config = folder / "config"
    if not config.exists():
        host.ssh_config(config, "there", BatchMode="yes")
    return subprocess.run(
        ["ssh", "-F", str(config), "there", command], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_host_answers_ssh_and_its_user_may_do_everything(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("front")
    done = ssh(host, tmp_path, "hostname; whoami; sudo -n whoami; systemctl is-system-running")
    assert (done.returncode, done.stdout.split()) == (0, ["front", "ops", "root", "running"]), done.stderr
