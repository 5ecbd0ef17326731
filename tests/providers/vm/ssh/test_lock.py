"""The deploy lock, by two parties on one host."""

import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from voicedeploy_providers.vm.ssh import Shell

from tests.providers.vm.ssh.conftest import Lab, Sshd
from tests.waiting import soon
from voicedeploy.errors import Locked, NotReady, StepFailed

ANOTHER = """
import sys
from pathlib import Path
from voicedeploy_providers.vm.ssh import Shell, connect, route
with Shell(connect(route("homelab", config=Path(sys.argv[1])))) as shell, shell.hold(sys.argv[2], "rollback"):
    print("held", flush=True)
    sys.stdin.read()
"""


def another(lab: Lab, lock: Path) -> "subprocess.Popen[str]":
    """Somebody else, who holds the lock until their input ends."""
    argv = [sys.executable, "-c", ANOTHER, str(lab.config), str(lock)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def free(lock: Path) -> bool:
    return subprocess.run(["flock", "-n", str(lock), "true"], check=False).returncode == 0


def test_one_at_a_time(shell: Shell, lab: Lab, tmp_path: Path) -> None:
    lock = tmp_path / "opt" / "it's a lock"
    with shell.hold(str(lock), "up"):
        said = json.loads(lock.read_text())
        assert said["who"] == f"{getpass.getuser()}@{socket.gethostname()}"
        assert (said["why"], said["pid"]) == ("up", os.getpid())
        other = lab.shell("homelab")
        with pytest.raises(Locked) as caught, other.hold(str(lock), "rollback"):
            pass
        assert caught.value.message == (
            f"somebody else is at it: {said['who']} (process {os.getpid()}), `up` since {said['since']}"
        )
        assert caught.value.exit_code == 3
        assert json.loads(lock.read_text()) == said
        assert shell.run("echo works").out == "works\n"
    assert lock.read_text() == ""
    with other.hold(str(lock), "rollback"):
        assert json.loads(lock.read_text())["why"] == "rollback"


def test_a_folder_that_went_with_its_lock_is_not_made_again(shell: Shell, tmp_path: Path) -> None:
    with shell.hold(str(tmp_path / "bot" / "lock"), "down"):
        shell.run('rm -r -- "$1"', args=[str(tmp_path / "bot")])
    assert not (tmp_path / "bot").exists()


def test_a_lock_that_cannot_be_made(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotReady, match=r"the lock .*/file/lock cannot be had: .*Not a directory|File exists") as caught:
        shell.hold(str(tmp_path / "file" / "lock"), "up").__enter__()
    assert not isinstance(caught.value, Locked)


def test_a_cut_before_it_is_held(shell: Shell, host: Sshd, tmp_path: Path) -> None:
    assert shell.run("true").code == 0
    host.cut()
    with shell.hold(str(tmp_path / "lock"), "up"):
        assert not free(tmp_path / "lock")


def test_a_crash_leaves_it_free(shell: Shell, lab: Lab, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with another(lab, lock) as process:
        assert not free(lock)
        process.kill()
    soon(lambda: free(lock))
    with shell.hold(str(lock), "up"):
        assert json.loads(lock.read_text())["why"] == "up"


def test_a_silent_party_loses_it(lab: Lab, host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that is asleep sends nothing, and no end either."""
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.lock.DEAD_S", 2)
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.lock.BEAT_S", 0.5)
    lock = tmp_path / "lock"
    shell = lab.shell("homelab")
    with shell.hold(str(lock), "up"):
        time.sleep(3)
        assert not free(lock)
        monkeypatch.setattr("voicedeploy_providers.vm.ssh.lock.BEAT_S", 60)
        soon(lambda: free(lock))


def test_it_is_had_again_after_a_cut(shell: Shell, host: Sshd, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with shell.hold(str(lock), "up"):
        first = json.loads(lock.read_text())
        assert host.cut() == 1
        assert shell.run('cat -- "$1"', args=[str(lock)]).out.count(first["token"]) == 1
        assert not free(lock)
        assert json.loads(lock.read_text())["holder"] != first["holder"]
    assert free(lock)


def test_our_own_holder_of_before_gives_way(shell: Shell, host: Sshd, tmp_path: Path) -> None:
    """A cut that the host has not noticed."""
    lock = tmp_path / "lock"
    [server] = host.connections()
    with shell.hold(str(lock), "up"):
        server.send_signal(signal.SIGSTOP)
        try:
            shell.connection.close()
            assert shell.run("echo on").out == "on\n"
            assert not free(lock)
        finally:
            server.send_signal(signal.SIGCONT)
        soon(lambda: len(host.connections()) == 1)
        assert not free(lock)
    assert free(lock)


def test_somebody_came_in_between(shell: Shell, lab: Lab, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with shell.hold(str(lock), "up"):
        os.kill(json.loads(lock.read_text())["holder"], signal.SIGKILL)
        soon(lambda: free(lock))
        with another(lab, lock) as process:
            with pytest.raises(StepFailed, match=r"the lock was lost with the connection\. somebody else is at it: "):
                shell.run("true")
            assert json.loads(lock.read_text())["why"] == "rollback"
            process.communicate("")
    assert lock.read_text() == ""
