"""Becoming root with sudo, as a user of the test's own on this machine."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.providers.vm.ssh.conftest import Lab, commands
from tests.waiting import soon
from voicedeploy.errors import NotReady

PASSWORD = "correct horse's \\battery"  # noqa: S105


@pytest.fixture
def user(lab: Lab) -> Iterator[str]:
    """A system user that `homelab` logs in as; `sudo` of it is for the test to allow."""
    assert shutil.which("sudo"), "these tests need sudo: apt-get install sudo"
    name = f"vdtest{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/bash", name], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{PASSWORD}".encode(), check=True)
        lab.alias("homelab", lab.sshd(), user=name)
        yield name
    finally:
        lab.stack.close()
        subprocess.run(["userdel", "--force", name], check=True, stderr=subprocess.DEVNULL)


@contextmanager
def sudoers(line: str) -> Iterator[None]:
    path = Path(f"/etc/sudoers.d/vdtest{os.getpid()}")
    path.write_text(line + "\n")
    path.chmod(0o440)
    try:
        yield
    finally:
        path.unlink()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A terminal, with somebody who answers."""

    def given(*said: str) -> list[str]:
        left, asked = list(said), []

        def ask(prompt: str) -> str:
            asked.append(prompt)
            return left.pop(0)

        monkeypatch.setattr("voicedeploy_providers.vm.ssh.terminal.there_is_one", lambda: True)
        monkeypatch.setattr("voicedeploy_providers.vm.ssh.terminal.ask", ask)
        return asked

    return given


def test_without_a_password(user: str, lab: Lab, tmp_path: Path) -> None:
    with sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL"):
        shell = lab.shell("homelab")
        assert shell.run("id -u; pwd").out == "0\n/\n"
        assert shell.run("id -un", root=False).out == f"{user}\n"
        assert shell.run("cat", root=False, stdin=b"x" * 300_000).out == "x" * 300_000
        shell.put(str(tmp_path / "file"), b"x", 0o600)
        assert (tmp_path / "file").stat().st_uid == 0
        with shell.hold(str(tmp_path / "lock"), "up"):
            assert shell.run("echo held").out == "held\n"
        naps = f"sleep 60{os.getpid()}"
        lines = shell.stream(f"echo one; {naps}; echo two")
        assert next(lines) == "one"
        soon(lambda: naps in commands())
        lines.close()  # type: ignore[attr-defined]
        soon(lambda: naps not in commands())


def test_with_a_password(user: str, lab: Lab, tmp_path: Path, answers: Callable[..., list[str]]) -> None:
    with sudoers(f"{user} ALL=(ALL) ALL"):
        asked = answers("wrong", PASSWORD)
        shell = lab.shell("homelab")
        data = os.urandom(2 << 20).hex()
        for _ in range(2):
            assert shell.run("id -u; cat", stdin=data.encode()).out == "0\n" + data
        assert asked == [f"sudo password of {user} on homelab: "] * 2
        shell.put(str(tmp_path / "file"), PASSWORD.encode(), 0o600)
        assert (tmp_path / "file").read_text() == PASSWORD
        (tmp_path / "big").write_bytes(os.urandom(2 << 20))
        shell.put_tree(tmp_path, ["big"], str(tmp_path / "to"))
        assert (tmp_path / "to" / "big").read_bytes() == (tmp_path / "big").read_bytes()
        lab.servers[0].cut()
        with shell.hold(str(tmp_path / "lock"), "up"):
            assert shell.run("env; cat /proc/self/cmdline").out.count(PASSWORD) == 0
        assert len(asked) == 2
        assert PASSWORD not in repr(shell.__dict__)


def test_a_password_that_is_suddenly_not_needed_is_not_run_as_a_script(
    user: str, lab: Lab, answers: Callable[..., list[str]]
) -> None:
    with sudoers(f"{user} ALL=(ALL) ALL"):
        answers(PASSWORD)
        shell = lab.shell("homelab")
        assert shell.run("id -u").out == "0\n"
    with sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL"):
        assert shell.run("id -u; cat", stdin=b"input").out == "0\ninput"


def test_three_wrong_passwords(user: str, lab: Lab, answers: Callable[..., list[str]]) -> None:
    with sudoers(f"{user} ALL=(ALL) ALL\nDefaults:{user} passwd_tries=1"):
        asked = answers("a", "b", "c")
        with pytest.raises(NotReady, match=f"homelab: sudo does not take the password of `{user}`"):
            lab.shell("homelab").run("true")
        assert len(asked) == 3


def test_no_terminal(user: str, lab: Lab) -> None:
    with (
        sudoers(f"{user} ALL=(ALL) ALL"),
        pytest.raises(NotReady, match=f"sudo wants the password of `{user}`, and there is no terminal") as caught,
    ):
        lab.shell("homelab").run("true")
    assert "NOPASSWD" in caught.value.hint


def test_somebody_who_may_not(user: str, lab: Lab, answers: Callable[..., list[str]]) -> None:
    answers(PASSWORD)
    with pytest.raises(NotReady, match=f"user `{user}` may not become root: .*not in the sudoers") as caught:
        lab.shell("homelab").run("true")
    assert f"usermod -aG sudo {user}" in caught.value.hint


def test_a_real_terminal_shows_no_password(user: str, lab: Lab) -> None:
    code = (
        "import sys; from pathlib import Path; from voicedeploy_providers.vm.ssh import Shell, connect, route\n"
        f"with Shell(connect(route('homelab', config=Path({str(lab.config)!r})))) as shell:\n"
        "    print('answer', shell.run('id -u; cat', stdin=b'input').out)\n"
    )
    with sudoers(f"{user} ALL=(ALL) ALL"):
        master, slave = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        ) as process:
            os.close(slave)
            said = b""
            while b"on homelab: " not in said:
                said += os.read(master, 1000)
            os.write(master, PASSWORD.encode() + b"\n")
            while b"input" not in said:
                said += os.read(master, 1000)
            assert process.wait(10) == 0
        os.close(master)
    assert b"answer 0\r\ninput" in said
    assert PASSWORD.encode() not in said


def test_the_login_shell_does_not_matter(lab: Lab, user: str, tmp_path: Path) -> None:
    odd = ["it's", "\\\\n", "two\nlines", "!x", "ü"]
    tried = [s for s in ("/usr/bin/fish", "/bin/tcsh", "/bin/dash") if Path(s).exists()]
    with sudoers(f"{user} ALL=(ALL) NOPASSWD: ALL"):
        for login in tried:
            subprocess.run(["usermod", "--shell", login, user], check=True)
            done = lab.shell("homelab").run('for a; do printf "<%s>" "$a"; done', args=odd)
            assert done.out == "".join(f"<{a}>" for a in odd), login


def test_a_host_without_sudo(user: str, lab: Lab) -> None:
    programs = Path(lab.stack.enter_context(tempfile.TemporaryDirectory(prefix="bin")))
    programs.chmod(0o755)
    for name in ("sh", "id", "env"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    lab.alias("bare", lab.sshd(f"SetEnv PATH={programs}"), user=user)
    with pytest.raises(NotReady, match=f"bare: user `{user}` is not root, and there is no sudo"):
        lab.shell("bare").run("true")
