"""Real Pipecat bots under Pipecat's own development runner, called as a browser would call them."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

from tests import forked
from voicedeploy.call import Callee, CallOptions, Run, Script, Turn, call, call_many
from voicedeploy.call.audio import encode
from voicedeploy.call.client import along
from voicedeploy.call.lines.socket import SocketLine
from voicedeploy.call.lines.socket.exotel import Exotel
from voicedeploy.call.lines.socket.plivo import Plivo
from voicedeploy.call.lines.socket.telnyx import Telnyx
from voicedeploy.call.lines.socket.twilio import Twilio
from voicedeploy.call.lines.socket.wire import Message, Order, Play, Wire
from voicedeploy.call.signalling import Signalling

pytestmark = pytest.mark.lab

BOT = Path(__file__).parent / "bots" / "talker.py"
OPTIONS = CallOptions(greeting_timeout_s=3, answer_timeout_s=4, quiet_s=0.5)
Start = Callable[..., Callee]
CARRIERS = {
    "TWILIO_ACCOUNT_SID": "AC0", "TWILIO_AUTH_TOKEN": "none", "TELNYX_API_KEY": "none",
    "PLIVO_AUTH_ID": "none", "PLIVO_AUTH_TOKEN": "none",
}  # fmt: skip
"""Pipecat's serializers ask whether there are any, and need them only to hang up."""
PHONES: dict[str, Callable[[], Wire]] = {"twilio": Twilio, "telnyx": Telnyx, "plivo": Plivo, "exotel": Exotel}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a bot with this environment on a free port; it ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def go(transport: str = "webrtc", **env: str) -> Callee:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = (tmp_path / f"{port}.log").open("wb")
        bot = subprocess.Popen(
            forked.bot(BOT, "-t", transport, "--port", str(port)),
            cwd=tmp_path, env={**os.environ, **CARRIERS, **env}, stdout=log, stderr=log,
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


@pytest.mark.measures
async def test_injected_delays_show_where_they_were_injected(start: Start) -> None:
    """Start 700 ms, language model 400, speech 300: the phases hold them, and add up."""
    plain = await call(start(), Script.demo(2), OPTIONS)
    slow = await call(start(START_MS="700", THINK_MS="400", SPEAK_MS="300"), Script.demo(2), OPTIONS)
    assert plain.ok and slow.ok, (plain.error, slow.error)
    for run in (plain, slow):
        assert run.first_word_ms is not None and run.phases.total == pytest.approx(run.first_word_ms, abs=50)
    assert slow.phases.first_word is not None and plain.phases.first_word is not None
    assert slow.phases.first_word - plain.phases.first_word == pytest.approx(700, abs=300)
    answers = [
        [turn.voice_to_voice_ms for turn in run.turns if turn.voice_to_voice_ms is not None] for run in (plain, slow)
    ]
    assert [len(times) for times in answers] == [2, 2]
    # The quicker one: others are on the machine.
    before, after = map(min, answers)
    assert after - before == pytest.approx(700, abs=300)


async def test_a_silent_bot(start: Start) -> None:
    run = await call(start(GREETS="never", ANSWERS="no"), Script.demo(1), OPTIONS)
    assert run.error is not None and run.error.layer == "silent"
    assert run.phases.dtls is not None and run.first_word_ms is None


@pytest.mark.measures
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


@pytest.mark.quiet
@pytest.mark.parametrize("transport", [*PHONES, "websocket"])
async def test_every_socket_is_spoken(start: Start, transport: str) -> None:
    run = await call(start(transport), Script.demo(2), replace(OPTIONS, transport=transport))
    assert run.ok, run.error
    assert run.greeted and run.first_word_ms is not None and run.first_word_ms < 3000
    assert run.phases.total == pytest.approx(run.first_word_ms, abs=1)
    # A phone hears what is played: the bot's resampler holds the first 20 ms back, no more.
    assert run.audio.lost == 0 and run.audio.max_gap_ms < 60
    assert all(turn.voice_to_voice_ms is not None and 100 < turn.voice_to_voice_ms < 1500 for turn in run.turns)
    said = [turn.said for turn in run.turns]
    assert said == (["answer 1", "answer 2"] if transport == "websocket" else [None, None])  # carriers have no RTVI


class Recorder:
    """A wire that keeps what the bot said."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.sounds: list[Play] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    def orders(self, message: Message) -> list[Order]:
        orders = self._wire.orders(message)
        self.sounds += [order for order in orders if isinstance(order, Play)]
        return orders

    def hertz(self) -> float:
        """The strongest frequency of it all."""
        sound = np.concatenate([play.samples for play in self.sounds]).astype(float)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
        return float(np.fft.rfftfreq(sound.size, 1 / self.sounds[0].rate)[int(spectrum.argmax())])


def whistle(hertz: float) -> Script:
    wave = 8000 * np.sin(2 * np.pi * hertz * np.arange(72_000) / 48_000)
    return Script((Turn("", encode(wave.astype(np.int16))),))


async def on_the_phone(callee: Callee, transport: str, hertz: float) -> tuple[Run, Recorder]:
    wire = Recorder(PHONES[transport]())
    options = replace(OPTIONS, transport=transport, greeting_timeout_s=0.1)
    line = SocketLine(callee, options, cast(Wire, wire))
    return await along(line, callee, whistle(hertz), options), wire


@pytest.mark.parametrize("transport", PHONES)
async def test_a_tone_comes_back_as_the_same_tone(start: Start, transport: str) -> None:
    run, wire = await on_the_phone(start(transport, GREETS="never", ANSWERS="echo"), transport, 1000)
    assert run.ok, run.error
    assert wire.hertz() == pytest.approx(1000, rel=0.02)


async def test_two_callers_at_once_hear_each_their_own_sound(start: Start) -> None:
    callee = start("twilio", GREETS="never", ANSWERS="echo")
    (low, heard_low), (high, heard_high) = await asyncio.gather(
        on_the_phone(callee, "twilio", 500), on_the_phone(callee, "twilio", 1300)
    )
    assert low.ok and high.ok
    for wire, own, other in ((heard_low, 500, 1300), (heard_high, 1300, 500)):
        assert wire.hertz() == pytest.approx(own, rel=0.02)
        sound = np.concatenate([play.samples for play in wire.sounds]).astype(float)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
        bins = np.fft.rfftfreq(sound.size, 1 / 8000)
        near = spectrum[np.abs(bins - other) < 30].max()
        assert near < spectrum.max() / 100, f"{other} Hz is heard in the call of {own} Hz"


@pytest.mark.parametrize("transport", PHONES)
async def test_a_key_of_the_telephone_arrives(start: Start, transport: str) -> None:
    callee = start(transport, GREETS="never", ANSWERS="no")
    wire = Recorder(PHONES[transport]())
    line = SocketLine(callee, replace(OPTIONS, transport=transport), cast(Wire, wire))
    signalling = Signalling(callee, timeout_s=5)
    try:
        await line.connect(await signalling.start(transport), signalling)
        await asyncio.sleep(0.5)
        line.press("7")
        await asyncio.sleep(1)
        assert not line.ended
    finally:
        await line.close()
        await signalling.close()
    assert wire.hertz() == pytest.approx(1300, rel=0.02)


@pytest.mark.measures
@pytest.mark.parametrize("transport", ["webrtc", "websocket", "twilio", "plivo"])
async def test_barging_in(start: Start, transport: str) -> None:
    """The same three seconds of greeting, from a bot that gives way and from one that does not."""
    options = replace(OPTIONS, transport=transport, barge_in=True)
    polite = await call(start(transport, GREETS_S="3", YIELDS="yes"), Script.demo(1), options)
    stubborn = await call(start(transport, GREETS_S="3"), Script.demo(1), options)
    assert polite.ok and stubborn.ok, (polite.error, stubborn.error)
    assert polite.barge_in_ms is not None and polite.barge_in_ms < 600
    assert stubborn.barge_in_ms is not None and stubborn.barge_in_ms > 2000


async def test_a_bot_without_its_carriers_credentials(start: Start) -> None:
    run = await call(start("twilio", TWILIO_AUTH_TOKEN=""), Script.demo(0), replace(OPTIONS, transport="twilio"))
    assert run.error is not None and run.error.layer == "socket"
    assert "credentials" in run.error.hint


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
