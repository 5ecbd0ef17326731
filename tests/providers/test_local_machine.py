"""This machine as a target: real files, real processes, a disk that is really full."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from voicedeploy_providers.local.fronts import front
from voicedeploy_providers.local.lock import held
from voicedeploy_providers.local.machine import Machine, running
from voicedeploy_providers.local.places import Places

from voicedeploy.errors import Locked, StepFailed
from voicedeploy.plan import Call, Command, Remove, Start, Stop, Upload, Write


def test_write_makes_folders_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "key"
    Machine().perform(Write(str(path), b"one", 0o600))
    Machine().perform(Write(str(path), b"two", 0o600))
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_upload_is_whole_or_not_at_all(tmp_path: Path) -> None:
    root = tmp_path / "from"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.py").write_text("a")
    to = tmp_path / "to" / "release"
    with pytest.raises(StepFailed):
        Machine().perform(Upload(root, ("sub/a.py", "gone.py"), str(to)))
    assert not to.exists()
    assert list(to.parent.iterdir()) == []
    Machine().perform(Upload(root, ("sub/a.py",), str(to)))
    assert (to / "sub" / "a.py").read_text() == "a"


def test_remove_takes_folders_files_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    Machine().perform(Remove((str(tmp_path / "folder"), str(tmp_path / "file"), str(tmp_path / "none"))))
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_shows_what_it_said(tmp_path: Path) -> None:
    code = "import sys; print('first'); print('No module named x', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StepFailed) as caught:
        Machine().perform(Command((sys.executable, "-c", code)))
    assert "exit code 3" in caught.value.message
    assert set(caught.value.log) == {"first", "No module named x"}


def test_a_command_gets_its_environment_and_not_the_shells_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    code = "import os; print(os.environ.get('OPENAI_API_KEY'), os.environ['MINE'])"
    assert Machine().ask(Command((sys.executable, "-c", code), env={"MINE": "yes"})).strip() == "None yes"


def test_a_command_without_its_program() -> None:
    with pytest.raises(StepFailed) as caught:
        Machine().perform(Command(("no-such-program-anywhere",)))
    assert "no such program" in caught.value.message


def test_a_call_to_nobody_is_given_up_in_time() -> None:
    started = time.monotonic()
    with pytest.raises(StepFailed):
        Machine().ask(Call("GET", "http://127.0.0.1:9/", wait_s=0.3))
    assert time.monotonic() - started < 5


SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
)


def wait_for(path: Path, text: str) -> None:
    until = time.monotonic() + 10
    while text not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("argv", [SLEEPER, STUBBORN], ids=["obedient", "stubborn"])
def test_start_and_stop(tmp_path: Path, argv: tuple[str, ...]) -> None:
    log, pid_file = tmp_path / "log", tmp_path / "pid"
    Machine().perform(Start(argv, str(log), str(pid_file)))
    wait_for(log, "up")
    process = running(pid_file)
    assert process is not None
    Machine().perform(Stop(str(pid_file), grace_s=0.2))
    assert running(pid_file) is None
    Machine().perform(Stop(str(pid_file)))


def test_a_reused_process_id_is_not_taken_for_ours(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(f'{{"pid": {os.getpid()}, "started": 1.0}}')
    assert running(pid_file) is None
    Machine().perform(Stop(str(pid_file)))  # and so this test lives on


@pytest.mark.parametrize(("lasts_s", "there"), [(0.3, False), (60, True)])
def test_a_front_that_ends_is_told_from_one_that_does_not_answer(home: Path, lasts_s: float, there: bool) -> None:
    """`up` would ask the first one to take no more calls, and find nobody."""
    places = Places.of("front-desk")
    argv = (sys.executable, "-c", f"import time; time.sleep({lasts_s})")
    pid_file = str(places.pid_file("r1"))
    Machine().perform(Start(argv, str(places.output("r1")), pid_file))
    found = front(places, "r1")
    Machine().perform(Stop(pid_file))
    assert (found is not None) is there
    assert found is None or (found.reason, found.ready) == ("does not answer", False)


@pytest.mark.lab
def test_a_full_disk_is_said_and_leaves_nothing_half_done(tiny_disk: Path) -> None:
    old = tiny_disk / "key"
    Machine().perform(Write(str(old), b"old"))
    with pytest.raises(StepFailed) as caught:
        Machine().perform(Write(str(old), b"x" * 200_000))
    assert "disk is full" in caught.value.message
    assert caught.value.hint
    assert old.read_bytes() == b"old"
    assert [p.name for p in tiny_disk.iterdir()] == ["key"]


def test_a_front_that_ends_before_it_answers_is_not_waited_for(tmp_path: Path) -> None:
    machine, log = Machine(), tmp_path / "output.txt"
    code = "import sys; sys.exit('this file cannot be read')"
    machine.perform(Start((sys.executable, "-c", code), log=str(log), pid_file=str(tmp_path / "pid")))
    began = time.monotonic()
    with pytest.raises(StepFailed, match="ended before it answered") as caught:
        machine.perform(
            Call("GET", "http://front/readyz", str(tmp_path / "sock"), wait_s=30, log=str(tmp_path / "none"))
        )
    assert time.monotonic() - began < 10
    assert caught.value.log == ("this file cannot be read",)


def test_the_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from voicedeploy_providers.local.lock import held\n"
        "with held(Path(sys.argv[1]), 'voicedeploy up'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked) as caught, held(path, "second"):
            pass
        assert f"process {holder.pid}" in caught.value.message
        assert "voicedeploy up" in caught.value.message
        holder.kill()
        holder.wait()
    with held(path, "third"):
        pass


def test_a_holder_that_has_not_said_yet_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def say() -> None:
            file.write(json.dumps({"who": "ann", "pid": 7, "why": "voicedeploy up", "since": "now"}))
            file.flush()

        later = threading.Timer(0.3, say)
        later.start()
        with pytest.raises(Locked, match=r"ann \(process 7\), `voicedeploy up`"), held(path, "second"):
            pass
        later.join()


def test_a_holder_that_says_nothing_and_removes_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)

    def leave() -> None:
        path.unlink()
        file.close()

    later = threading.Timer(0.3, leave)
    later.start()
    with held(path, "second"):
        assert json.loads(path.read_text())["why"] == "second"
        with pytest.raises(Locked, match="`second`"), held(path, "third"):
            pass
    later.join()


def test_a_holder_that_never_says_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="another voicedeploy"), held(path, "second"):
            pass
