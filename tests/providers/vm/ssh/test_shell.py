"""Scripts, files and folders on a real sshd."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from voicedeploy_providers.vm.ssh import ConnectionLost, Shell

from tests.providers.vm.ssh.conftest import Lab, Sshd, commands
from tests.waiting import soon
from voicedeploy.errors import StepFailed


@contextmanager
def cut_when(host: Sshd, true: Callable[[], bool]) -> Iterator[None]:
    cuts: list[int] = []

    def cut() -> None:
        soon(true)
        cuts.append(host.cut())

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert cuts == [1]


def test_a_script_gets_its_arguments_and_answers(shell: Shell) -> None:
    odd = ["a b", "", "it's", '"$HOME"', "\\n", "two\nlines", "-n", "ü", "`id`"]
    done = shell.run('for a; do printf "<%s>" "$a"; done; echo; echo err >&2; exit 0', args=odd)
    assert done.out == "".join(f"<{a}>" for a in odd) + "\n"
    assert (done.code, done.err) == (0, "err\n")


def test_what_fails_shows_its_last_lines(shell: Shell) -> None:
    with pytest.raises(StepFailed) as caught:
        shell.run("seq 30; echo 'no such thing' >&2; exit 7", what="starting the bot")
    assert caught.value.message == "homelab: starting the bot failed with exit code 7"
    assert len(caught.value.log) == 15
    assert caught.value.log[-2:] == ("30", "no such thing")
    assert shell.run("exit 7", check=False).code == 7


def test_a_program_that_is_missing_is_named_by_sh(shell: Shell) -> None:
    assert re.fullmatch(r"sh: .*nosuchprogram: .*not found\n", shell.run("nosuchprogram", check=False).err)


def test_a_script_that_a_signal_ends(shell: Shell) -> None:
    with pytest.raises(StepFailed, match="a command was killed"):
        shell.run("kill -9 $$")


def test_much_input_and_much_output(shell: Shell) -> None:
    data = os.urandom(3 << 20).hex().encode()
    done = shell.run("cat; cat /dev/null >&2; head -c 3000000 /dev/zero | tr '\\0' e >&2", stdin=data)
    assert done.out.encode() == data
    assert done.err == "e" * 3000000


def test_input_that_nobody_reads(shell: Shell) -> None:
    assert shell.run("echo done", stdin=b"x" * (5 << 20)).out == "done\n"


def test_a_long_script(shell: Shell) -> None:
    assert shell.run("\n".join(f"x{i}=$(({i} + 1))" for i in range(30_000)) + "\necho $x29999").out == "30000\n"


def test_a_script_has_an_end_and_leaves_nothing(shell: Shell) -> None:
    naps, started = f"sleep 42{os.getpid()}", time.monotonic()
    with pytest.raises(StepFailed, match=r"waiting did not end within 0\.5 s"):
        shell.run(f"echo begun; {naps}", timeout_s=0.5, what="waiting")
    assert time.monotonic() - started < 10
    soon(lambda: naps not in commands())


def test_secrets_are_in_no_command_line_and_in_no_file(shell: Shell) -> None:
    secret = "s3cret-of-the-test"  # noqa: S105
    seen: list[str] = []
    thread = threading.Thread(
        target=lambda: shell.run(f"x={secret}; cat >/dev/null; sleep 1.0471", args=[secret], stdin=secret.encode())
    )
    thread.start()
    soon(lambda: "sleep 1.0471" in commands())  # nobody else's
    while thread.is_alive():
        seen.append(commands())
    thread.join()
    assert len(seen) > 3
    assert "voicedeploy-" in seen[0]
    assert secret not in "".join(seen)
    assert not list(Path("/run").glob("voicedeploy.*"))


def test_put_is_whole_and_has_its_mode(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "-it's\nodd ü"
    shell.put(str(path), b"one", 0o600)
    before = path.stat().st_ino
    shell.put(str(path), b"two" * 500_000, 0o640)
    status = path.stat()
    assert path.read_bytes() == b"two" * 500_000
    assert (status.st_mode & 0o7777, status.st_uid, status.st_ino != before) == (0o640, 0, True)
    assert list(path.parent.iterdir()) == [path]
    shell.put(str(tmp_path / "empty"), b"", 0o644)
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_full_disk_is_called_that(shell: Shell, tiny_disk: Path, tmp_path: Path) -> None:
    (tiny_disk / "config").write_text("old")
    with pytest.raises(StepFailed) as caught:
        shell.put(str(tiny_disk / "config"), b"x" * 200_000, 0o644)
    assert caught.value.message == f"homelab: its disk is full (writing {tiny_disk / 'config'})"
    assert "free some space" in caught.value.hint
    assert (tiny_disk / "config").read_text() == "old"
    (tmp_path / "big").write_bytes(os.urandom(200_000))
    with pytest.raises(StepFailed, match="disk is full"):
        shell.put_tree(tmp_path, ["big"], str(tiny_disk / "release"))
    assert [p.name for p in tiny_disk.iterdir()] == ["config"]


def test_a_tree_of_600_files(shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "from"
    odd = ["a b", "it's", '"q"', "two\nlines", "-rf", "ü", "\\n", "*", "x" * 200, os.fsdecode(b"latin-\xfc")]
    names = [f"d{i % 7}/f{i}" for i in range(600 - len(odd))] + [f"odd/{n}" for n in odd]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, errors="surrogateescape")
    (root / "odd/a b").chmod(0o700)
    (root / "link").symlink_to("odd/ü")
    (root / "dangling").symlink_to("/nowhere/at all")
    to = tmp_path / "releases" / "2026 it's"
    left = Path(f"{to}.tmp-of-a-cut")
    left.mkdir(parents=True)
    shell.put_tree(root, [*names, "link", "dangling"], str(to))
    for name in names:
        assert (to / name).read_text(errors="surrogateescape") == name
    assert (to / "link").readlink() == Path("odd/ü")
    assert (to / "dangling").readlink() == Path("/nowhere/at all")
    assert (to / "odd/a b").stat().st_mode & 0o7777 == 0o755
    assert (to / "d0/f0").stat().st_mode & 0o7777 == 0o644
    assert to.stat().st_mode & 0o7777 == 0o755
    assert [p.name for p in to.parent.iterdir()] == [to.name]


def test_a_tree_that_is_there_is_left_alone(shell: Shell, tmp_path: Path) -> None:
    to = tmp_path / "to"
    to.mkdir()
    (tmp_path / "big").write_bytes(os.urandom(8 << 20))
    shell.put_tree(tmp_path, ["big"], str(to))
    assert list(to.iterdir()) == []


def test_a_tree_with_a_file_that_is_gone(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(2 << 20))
    with pytest.raises(StepFailed, match=r"gone\.py cannot be read: No such file"):
        shell.put_tree(tmp_path, ["a", "gone.py"], str(tmp_path / "to" / "release"))
    soon(lambda: not list(tmp_path.glob("to/*")))


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    from voicedeploy_providers.vm.ssh.tree import pack

    made = []
    for folder, when in (("one", 1), ("two", 10**9)):
        (tmp_path / folder).mkdir()
        for name in ("b", "a"):
            (tmp_path / folder / name).write_text(name)
            os.utime(tmp_path / folder / name, (when, when))
        pieces: list[bytes] = []
        pack(tmp_path / folder, ["b", "a"] if when == 1 else ["a", "b"], pieces.append)
        made.append(b"".join(pieces))
    assert made[0] == made[1]


def test_lines_come_as_they_are_printed_and_stop_when_nobody_reads(shell: Shell, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    lines = shell.stream('tail -n +1 -F "$1"', [str(log)])
    assert [next(lines), next(lines)] == ["one", "two"]
    with log.open("a") as file:
        file.write("three ü\n")
    assert next(lines) == "three ü"
    assert f"tail -n +1 -F {log}" in commands()
    lines.close()  # type: ignore[attr-defined]
    soon(lambda: f"tail -n +1 -F {log}" not in commands())
    assert list(shell.stream("printf 'a\\nb'")) == ["a", "b"]
    with pytest.raises(StepFailed, match="reading the log failed with exit code 3"):
        list(shell.stream("echo no >&2; exit 3", what="reading the log"))


def test_a_cut_in_the_middle_of_a_script_and_of_a_stream(shell: Shell, host: Sshd, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = 'echo x >>"$1"; [ "$(wc -l <"$1")" -gt 1 ] || sleep 2; cat'
    with cut_when(host, count.exists):
        done = shell.run(script, args=[str(count)], stdin=b"all of it")
    assert done.out == "all of it"
    assert count.read_text() == "x\nx\n"
    lines = shell.stream("echo here; sleep 60")
    assert next(lines) == "here"
    assert host.cut() == 1
    with pytest.raises(ConnectionLost, match="lost during reading the log") as caught:
        next(shell.stream("sleep 60", what="reading the log"))
    assert caught.value.code == "connection-lost"


def test_what_began_before_a_cut_ends_before_it_is_done_again(shell: Shell, host: Sshd, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with cut_when(host, log.exists):
        shell.run('echo begin >>"$1"; sleep 2; echo end >>"$1"', args=[str(log)])
    assert log.read_text() == "begin\nend\nbegin\nend\n"


def test_what_must_not_be_done_twice_is_not(shell: Shell, host: Sshd, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with cut_when(host, begun.exists), pytest.raises(ConnectionLost) as caught:
        shell.run('touch "$1"; sleep 1', args=[str(begun)], again=False, what="moving traffic")
    assert caught.value.message.startswith("homelab: the connection was lost during moving traffic: ")
    assert shell.run("echo back").out == "back\n"


def test_a_host_that_does_not_come_back(shell: Shell, host: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.shell._PAUSES_S", (0.1, 0.2, 0.3))
    host.cut()
    host.stop()
    shell.connection.close()
    with pytest.raises(ConnectionLost, match=r"lost during a command: homelab: nothing listens at 127\.0\.0\.1"):
        shell.run("true")
    host.start()


def test_a_cut_during_a_tree(lab: Lab, host: Sshd, tmp_path: Path) -> None:
    shell = lab.shell("homelab")
    root = tmp_path / "from"
    root.mkdir()
    for i in range(40):
        (root / f"f{i}").write_bytes(os.urandom(1 << 20))
    to = tmp_path / "to" / "release"
    with cut_when(host, lambda: any(to.parent.glob("release.tmp-*/f*"))):
        shell.put_tree(root, [f"f{i}" for i in range(40)], str(to))
    assert all((to / f"f{i}").read_bytes() == (root / f"f{i}").read_bytes() for i in range(40))
    assert [p.name for p in to.parent.iterdir()] == ["release"]
