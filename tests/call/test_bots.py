"""Real Pipecat bots under Pipecat's own development runner, called as a browser would call them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from voicedeploy.call import Callee, CallOptions, Script, call, call_many

pytestmark = pytest.mark.lab

BOT = Path(__file__).parent / "bots" / "talker.py"
OPTIONS = CallOptions(greeting_timeout_s=3, answer_timeout_s=4, quiet_s=0.5)
Start = Callable[..., Callee]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a bot with this environment on a free port; it ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def go(**env: str) -> Callee:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = (tmp_path / f"{port}.log").open("wb")
        bot = subprocess.Popen(
            [sys.executable, str(BOT), "-t", "webrtc", "--port", str(port)],
            cwd=tmp_path, env={**os.environ, **env}, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        running.append(bot)
        url = f"http://localhost:{port}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and bot.poll() is None:
            try:
                httpx.get(f"{url}/status", trust_env=False)
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return Callee.parse(url)
        raise AssertionError((tmp_path / f"{port}.log").read_text()[-3000:])

    yield go
    for bot in running:
        bot.kill()
        bot.wait()


async def test_a_greeting_and_two_answers(start: Start) -> None:
    run = await call(start(), Script.demo(2), OPTIONS)
    assert run.ok, run.error
    assert run.greeted and run.greeting == "hello I am a talker"
    assert run.first_word_ms is not None and run.phases.total == pytest.approx(run.first_word_ms, abs=50)
    assert [turn.heard for turn in run.turns] == ["question 1", "question 2"]
    assert [turn.said for turn in run.turns] == ["answer 1", "answer 2"]
    assert all(turn.voice_to_voice_ms is not None and turn.voice_to_voice_ms > 200 for turn in run.turns)
    assert run.audio.lost == 0 and run.audio.packets > 200


async def test_a_bot_that_greets_only_when_the_client_is_ready(start: Start) -> None:
    run = await call(start(GREETS="ready"), Script.demo(0), OPTIONS)
    assert run.ok, run.error
    assert run.greeted and run.greeting == "hello I am a talker"


async def test_a_bot_that_never_greets(start: Start) -> None:
    run = await call(start(GREETS="never"), Script.demo(1), OPTIONS)
    assert run.ok, run.error
    assert run.greeted is False and run.greeting is None
    assert run.first_word_ms is not None and run.first_word_ms < run.duration_ms - 3000
    assert run.left_out_ms > 3000


async def test_injected_delays_show_where_they_were_injected(start: Start) -> None:
    """Start 700 ms, language model 400, speech 300: the phases hold them, and add up."""
    plain = await call(start(), Script.demo(1), OPTIONS)
    slow = await call(start(START_MS="700", THINK_MS="400", SPEAK_MS="300"), Script.demo(1), OPTIONS)
    assert plain.ok and slow.ok, (plain.error, slow.error)
    for run in (plain, slow):
        assert run.first_word_ms is not None and run.phases.total == pytest.approx(run.first_word_ms, abs=50)
    assert slow.phases.first_word is not None and plain.phases.first_word is not None
    assert slow.phases.first_word - plain.phases.first_word == pytest.approx(700, abs=300)
    before, after = plain.turns[0].voice_to_voice_ms, slow.turns[0].voice_to_voice_ms
    assert before is not None and after is not None
    assert after - before == pytest.approx(700, abs=300)


async def test_a_silent_bot(start: Start) -> None:
    run = await call(start(GREETS="never", ANSWERS="no"), Script.demo(1), OPTIONS)
    assert run.error is not None and run.error.layer == "silent"
    assert run.phases.dtls is not None and run.first_word_ms is None


async def test_an_echo_is_heard_but_cannot_be_timed(start: Start) -> None:
    run = await call(start(GREETS="never", ANSWERS="echo"), Script.demo(1), OPTIONS)
    assert run.ok, run.error
    assert run.turns[0].overlapped and run.turns[0].voice_to_voice_ms is None
    assert "talked over" in run.notes[0]


async def test_a_bot_that_hangs_up_after_its_first_answer(start: Start) -> None:
    run = await call(start(HANGS_UP_AFTER="1"), Script.demo(3), OPTIONS)
    assert run.ok, run.error
    assert run.answered == 1
    assert "the bot hung up" in run.notes


async def test_several_at_once_from_processes_of_their_own(start: Start) -> None:
    done: list[int] = []
    report = await call_many(
        start(), Script.demo(1), OPTIONS, runs=2, sessions=3, progress=lambda p: done.append(p.done)
    )
    assert report.ok, [run.error for run in report.runs]
    assert len({run.session_id for run in report.runs}) == 6
    assert done == sorted(done) and done[-1] == 6
    begun = sorted(run.started_at for run in report.runs)
    assert begun[:3] == sorted(run.started_at for run in report.runs[:3])


def test_a_machine_with_nothing_but_loopback() -> None:
    """aioice has no candidate for 127.0.0.1; the caller has."""
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-m", "tests.call.lonely"], capture_output=True, timeout=60, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    run = json.loads(done.stdout.splitlines()[-1])
    assert run["ok"], run["error"]
    assert run["candidate_pair"]["local"].startswith("host 127.0.0.1:")
