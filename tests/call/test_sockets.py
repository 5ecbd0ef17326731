"""Calls over a media socket to a bot in this process: what is measured is compared with what the bot itself did."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.call.socketbot import SocketBot, running, tone
from tests.call.test_client import SHORT
from voicedeploy.call import Callee, CallOptions, Run, Script, call, call_many

QUICK = CallOptions(greeting_timeout_s=2, answer_timeout_s=2, quiet_s=0.2, connect_timeout_s=3)
HASTY = CallOptions(greeting_timeout_s=0.3, answer_timeout_s=0.5, quiet_s=0.2, connect_timeout_s=1)


async def greet(bot: SocketBot) -> None:
    await bot.play(tone(0.4))


async def answer(bot: SocketBot) -> None:
    await asyncio.sleep(0.2)
    await bot.play(tone(0.3))


def total(run: Run) -> float:
    assert run.phases.total is not None
    return run.phases.total


async def test_a_greeting_an_answer_and_the_phases() -> None:
    bot = SocketBot(greets=greet, answers=answer)
    async with running(bot) as callee:
        run = await call(callee, SHORT, QUICK)
        await asyncio.wait_for(bot.hung_up.wait(), 2)
    assert run.ok, run.error
    assert bot.asked == ["twilio"]  # what /page.json says
    assert run.greeted and run.first_word_ms is not None
    assert total(run) == pytest.approx(run.first_word_ms, abs=1)
    assert (run.phases.ice, run.phases.dtls) == (0, 0) and run.candidate_pair is None
    assert run.session_id == "s1" and run.same_machine
    (turn,) = run.turns
    assert turn.voice_to_voice_ms == pytest.approx(320, abs=120)  # 0.1 s to notice, 0.2 s of thought
    assert [body["event"] for _, body in bot.got[:3]] == ["connected", "start", "media"]
    assert bot.got[-1][1]["event"] == "stop"
    assert run.audio.lost == 0 and run.audio.gaps == 0
    assert run.ahead_ms == pytest.approx(400, abs=60)
    # The picture of the call is silent where nothing was played.
    quiet = [at for at, level in run.levels if level < -90]
    assert any(turn.spoke_from_ms - 400 < at < turn.spoke_until_ms for at in quiet)


async def test_sound_leaves_every_20_ms_from_pick_up_to_hang_up() -> None:
    bot = SocketBot(greets=greet, answers=answer)
    async with running(bot) as callee:
        await call(callee, SHORT, QUICK)
    media = bot.events("media")
    took = media[-1][0] - media[0][0]
    assert len(media) == pytest.approx(took / 0.02 + 1, abs=2)
    assert [body["media"]["chunk"] for _, body in media] == [str(n) for n in range(1, len(media) + 1)]


async def test_first_word_is_when_it_is_played_and_not_when_it_comes() -> None:
    async def slow(bot: SocketBot) -> None:
        await bot.play(b"\xff" * 8000 + tone(0.3))  # a second of silence, and all of it at once

    async with running(SocketBot(greets=slow)) as callee:
        run = await call(callee, Script.demo(0), QUICK)
    assert run.phases.first_word == pytest.approx(1000, abs=60)
    assert run.round_trip_ms is not None and 0 < run.round_trip_ms < 100


async def test_marks_come_back_when_they_are_played() -> None:
    async def marked(bot: SocketBot) -> None:
        bot.sent = time.monotonic()  # type: ignore[attr-defined]
        await bot.play(tone(0.5))
        await bot.say(event="mark", mark={"name": "said"})

    bot = SocketBot(greets=marked)
    async with running(bot) as callee:
        await call(callee, Script.demo(0), QUICK)
    ((at, body),) = bot.events("mark")
    assert body["mark"] == {"name": "said"}
    assert at - bot.sent == pytest.approx(0.5, abs=0.05)  # type: ignore[attr-defined]


async def test_barging_in_is_over_when_the_carrier_has_cleared() -> None:
    """Four seconds have been sent at once; the bot clears them 150 ms after it hears the caller."""

    async def monologue(bot: SocketBot) -> None:
        await bot.play(tone(4))
        await bot.say(event="mark", mark={"name": "never played"})
        while not bot.quiet_at:  # noqa: ASYNC110 - set by the first loud frame
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.15)
        await bot.say(event="clear")

    bot = SocketBot(greets=monologue, answers=answer)
    async with running(bot) as callee:
        run = await call(callee, SHORT, CallOptions(transport="twilio", barge_in=True, quiet_s=0.2))
    assert run.ok, run.error
    assert run.turns[0].barge_in_ms == pytest.approx(160, abs=60)
    assert run.barge_in_ms == run.turns[0].barge_in_ms
    assert [body["mark"]["name"] for _, body in bot.events("mark")] == ["never played"]  # by the clear
    assert run.turns[0].voice_to_voice_ms is not None


async def test_a_bot_that_does_not_give_way() -> None:
    async def monologue(bot: SocketBot) -> None:
        await bot.play(tone(2))

    async with running(SocketBot(greets=monologue, answers=answer)) as callee:
        run = await call(callee, SHORT, CallOptions(transport="twilio", barge_in=True, quiet_s=0.2, answer_timeout_s=3))
    assert run.turns[0].overlapped
    assert run.turns[0].barge_in_ms is not None and run.turns[0].barge_in_ms > 1200


async def test_the_private_socket_of_a_front() -> None:
    bot = SocketBot(greets=greet)
    with TemporaryDirectory() as folder:
        async with running(bot, unix=Path(folder, "s")) as callee:
            run = await call(callee, Script.demo(0), QUICK)
    assert run.ok, run.error
    assert run.same_machine and bot.path == "/ws"


async def test_the_token_of_a_runner_goes_along() -> None:
    bot = SocketBot(greets=greet, start={"wsUrl": "wss://0.0.0.0:7860/ws", "token": "T"})
    async with running(bot) as callee:
        run = await call(callee, Script.demo(0), QUICK)
    assert run.ok and run.session_id is None
    assert bot.headers["authorization"] == "Bearer T"


async def test_a_server_with_nothing_but_a_socket() -> None:
    bot = SocketBot(greets=greet, start=None)
    async with running(bot) as callee:
        run = await call(callee, Script.demo(0), QUICK)
    assert run.ok, run.error


def error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "hint": "try this"}}, status)


@pytest.mark.parametrize(
    ("refuses", "layer", "says"),
    [
        (error(403, "unknown-session", "this address was used"), "refused", "this address was used"),
        (error(503, "draining", "no new calls"), "busy", "no new calls"),
        (PlainTextResponse("nothing here", 404), "socket", "404 nothing here"),
        (PlainTextResponse("bad gateway", 502), "socket", "502 bad gateway"),
    ],
)
async def test_a_socket_that_is_refused(refuses: Response, layer: str, says: str) -> None:
    async with running(SocketBot(refuses=refuses)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == layer and says in run.error.message and run.error.hint
    assert run.phases.start is not None and run.phases.offer is None and run.first_word_ms is None


async def test_a_socket_that_breaks_before_a_word_is_said() -> None:
    async def fail(bot: SocketBot) -> None:
        assert bot.ws is not None
        await bot.ws.close(1011, "no credentials")

    async with running(SocketBot(greets=fail)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None and run.error.layer == "socket"
    assert "1011 (no credentials)" in run.error.message


async def test_a_bot_that_hangs_up_before_it_speaks() -> None:
    async def end(bot: SocketBot) -> None:
        assert bot.ws is not None
        await bot.ws.close(1000)

    async with running(SocketBot(greets=end)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None and run.error.layer == "silent"
    assert "ended the call" in run.error.message


async def test_a_silent_bot() -> None:
    async with running(SocketBot()) as callee:
        run = await call(callee, SHORT, HASTY)
    assert run.error is not None and run.error.layer == "silent"
    assert "no audio packet" in run.error.message


async def test_a_way_that_nobody_here_speaks() -> None:
    callee = Callee.parse("http://127.0.0.1:9/")
    report = await call_many(callee, SHORT, CallOptions(transport="moq"))
    (run,) = report.runs
    assert run.error is not None and run.error.layer == "signalling"
    assert "`moq`" in run.error.message and "--transport" in run.error.hint
    assert report.transport == "moq"


async def test_many_at_once_from_processes_of_their_own() -> None:
    body: dict[str, Any] = {"sessionId": "s1", "wsUrl": "/ws"}
    async with running(SocketBot(greets=greet, answers=answer, start=body)) as callee:
        report = await call_many(callee, Script.demo(0), QUICK, sessions=2)
    # One stub has one socket to answer on, so only the last of the two is greeted; both have called.
    assert len(report.runs) == 2 and report.transport == "twilio"
    assert all(run.phases.dtls == 0 for run in report.runs)
