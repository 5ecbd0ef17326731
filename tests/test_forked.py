"""That what the lab types is in all but its start the command that a person types."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import forked

SPEC = '[bot]\nname = "front-desk"\n'


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text("async def bot(runner_args):\n    pass\n")
    (tmp_path / "requirements.txt").write_text("pipecat-ai[webrtc]==1.14.0\n")
    (tmp_path / "voicedeploy.toml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def front(project: Path) -> Iterator["subprocess.Popen[str]"]:
    """One that goes on until it is ended."""
    (project / "key").write_text("k" * 64)
    (project / "key").chmod(0o600)
    (project / "front.toml").write_text(
        f'[bot]\nname = "front-desk"\nrelease = "r1"\nproject = "."\npython = "{forked.bots().python}"\n'
        f'[listen]\nhost = "127.0.0.1"\nport = 0\nsocket = "{project}/front.sock"\n[access]\nkey_file = "key"\n'
    )
    words = forked.command("serve", "--config", "front.toml")
    with subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as front:
        try:
            assert front.stdout
            assert any('"event": "loaded"' in line for line in front.stdout)
            yield front
        finally:
            front.kill()


@pytest.mark.parametrize(
    "words", [("--version",), ("status", "--json"), ("up", "--nonsense"), ("secrets", "list"), ("call", "--json")]
)
def test_it_says_and_returns_the_same(project: Path, words: tuple[str, ...]) -> None:
    real, ours = (
        subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False)
        for argv in ([sys.executable, "-m", "voicedeploy", *words], forked.command(*words))
    )
    assert (ours.returncode, ours.stdout, ours.stderr) == (real.returncode, real.stdout, real.stderr)


def test_its_input_and_its_environment_are_the_callers(project: Path) -> None:
    (project / "voicedeploy.toml").write_text(SPEC + 'secrets = ["A_KEY"]\n')
    elsewhere = {**os.environ, "XDG_STATE_HOME": str(project / "elsewhere")}
    subprocess.run(
        forked.command("secrets", "set", "A_KEY"), cwd=project, env=elsewhere, input="a", text=True, check=True
    )
    assert any((project / "elsewhere").rglob("*secret*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_reaches_it(front: "subprocess.Popen[str]", number: signal.Signals, code: int) -> None:
    front.send_signal(number)
    said, _ = front.communicate(timeout=20)
    assert front.returncode == code, said


def test_killed_it_is_gone(front: "subprocess.Popen[str]", project: Path) -> None:
    def running() -> list[psutil.Process]:
        return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(project)]

    assert running()
    front.kill()
    front.communicate(timeout=20)
    assert front.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while running():
        assert time.monotonic() < deadline, running()
        time.sleep(0.05)


def test_those_killed_at_any_moment_harm_no_other() -> None:
    """Also in the moment in which they end themselves."""
    for delay_ms in range(20, 160, 3):
        several = [subprocess.Popen(forked.command("--version"), stdout=subprocess.DEVNULL) for _ in range(3)]
        time.sleep(delay_ms / 1000)
        for one in several:
            one.kill()
        for one in several:
            one.wait()
    assert subprocess.run(forked.command("--version"), capture_output=True, check=True).stdout


def test_a_program_is_as_if_python_ran_it(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    (tmp_path / "beside.py").write_text("WORD = 'found'\n")
    file.write_text(
        "import beside, os, sys\n"
        "turn = os.getpriority(0, 0), os.sched_getscheduler(0)\n"
        "print(beside.WORD, __name__, sys.argv, os.getcwd(), turn)\n"
        "sys.exit(7)\n"
    )
    turn = ("chrt", "--batch", "0", "nice", "-n", "3")
    real, ours = (
        subprocess.run([*turn, *argv], cwd="/", capture_output=True, text=True, check=False)
        for argv in ([sys.executable, str(file), "a", "b"], forked.bot(file, "a", "b"))
    )
    assert (ours.returncode, ours.stdout) == (real.returncode, real.stdout) and real.returncode == 7, ours


def test_a_program_that_fails_says_where(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def fall():\n    raise ValueError('so it is')\nfall()\n")
    done = subprocess.run(forked.bot(tmp_path / "program.py"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'program.py", line 2, in fall' in done.stderr and done.stderr.endswith("ValueError: so it is\n"), done
