"""Real calls by turns, to fronts in this process."""

import asyncio
import socket
from collections import Counter
from itertools import pairwise

import pytest

from tests.call.socketbot import SocketBot, tone
from tests.call.socketbot import running as answering
from tests.call.stub import Front, running
from tests.call.test_client import QUICK, SHORT
from voicedeploy.call import Callee, Script
from voicedeploy.call.goals import PHONE, WEB
from voicedeploy.comparing import Comparison, Progress, Side, answer, compare
from voicedeploy.comparing.knock import round_trip_ms
from voicedeploy.comparing.rounds import order
from voicedeploy.errors import UsageError

NOWHERE = "http://127.0.0.1:9/"


async def test_two_rounds_by_turns() -> None:
    told: list[Progress] = []
    async with running(Front()) as one, running(Front()) as other:
        made = await compare([Side("a", one), Side("b", other)], SHORT, QUICK, rounds=2, progress=told.append)
    assert made.ok, [run.error for side in made.outcomes for run in side.report.runs]
    assert [step.side for step in told if step.run] == ["a", "b", "b", "a"]
    assert [step.done for step in told if step.run] == [1, 2, 3, 4]
    assert made.rounds == 2
    for side in made.outcomes:
        assert side.way is not None and not side.way.assumed and side.way.media < 100
        for run, pieces in zip(side.report.runs, side.first_words, strict=True):
            assert pieces is not None and run.first_word_ms is not None
            assert pieces.network + pieces.start + pieces.bot == pytest.approx(run.first_word_ms)


async def test_a_phone_and_a_browser_can_be_compared() -> None:
    """Each over its own transport; the socket has no ICE and no DTLS, and its round trip comes from pings."""

    async def greets(bot: SocketBot) -> None:
        await bot.play(tone(0.3))

    async with running(Front()) as browser, answering(SocketBot(greets=greets)) as phone:
        made = await compare([Side("browser", browser), Side("phone", phone)], Script(()), QUICK, rounds=1)
    assert made.ok, [run.error for side in made.outcomes for run in side.report.runs]
    one, other = made.outcomes
    assert (one.report.transport, other.report.transport) == ("webrtc", "twilio")
    assert (one.goals[0], other.goals[0]) == (WEB, PHONE)
    (pieces,), (run,) = other.first_words, other.report.runs
    assert other.way is not None and not other.way.assumed
    assert pieces is not None and run.first_word_ms is not None
    assert pieces.network + pieces.start + pieces.bot == pytest.approx(run.first_word_ms)


async def test_a_side_that_is_never_heard_ends_it_after_three_rounds() -> None:
    async with running(Front(greets_after_s=0.0)) as one:
        made = await compare([Side("up", one), Side("down", Callee.parse(NOWHERE))], SHORT, QUICK, rounds=9)
    assert made.rounds == 3 and not made.ok
    up, down = made.outcomes
    assert up.report.ok and down.report.summary.failures == {"signalling": 3}
    assert answer(made)["sides"][1]["round_trip_ms"] == {"signalling": None, "media": None, "assumed": True}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_everybody_is_first_and_after_everybody(count: int) -> None:
    rounds = [order(number, count) for number in range(2 * count)]
    assert all(sorted(one) == list(range(count)) for one in rounds)
    assert Counter(one[0] for one in rounds) == dict.fromkeys(range(count), 2)
    before = [(a, b) for one in rounds for a, b in pairwise(one)]
    assert Counter(before)[0, 1] == Counter(before)[1, 0] > 0


async def test_sides_need_names_of_their_own() -> None:
    side = Side("a", Callee.parse(NOWHERE))
    for sides in ([side], [side, side]):
        with pytest.raises(UsageError):
            await compare(sides, SHORT)


async def test_the_handshake_is_timed_without_the_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        took = await round_trip_ms(Callee.parse(f"http://localhost:{port}/"))
    assert took is not None and 0 < took < 50
    assert await round_trip_ms(Callee.parse(NOWHERE)) is None
    assert await round_trip_ms(Callee.parse(NOWHERE, socket="/run/front.sock")) == 0


@pytest.mark.lab
@pytest.mark.quiet
@pytest.mark.timeout(600)
async def test_injected_pauses_are_found_where_they_are() -> None:
    """1 s before `/start` is answered, 300 ms before the bot answers, and none."""
    async with (
        running(Front()) as plain,
        running(Front()) as twin,
        running(Front(start_delay_s=1)) as cold,
        running(Front(answers_after_s=0.6)) as slow,
    ):
        sides = [Side("plain", plain), Side("twin", twin), Side("cold", cold), Side("slow", slow)]
        made = await asyncio.wait_for(compare(sides, SHORT, QUICK, rounds=15), 500)
    assert made.ok
    check(made)


def check(made: Comparison) -> None:
    twin, cold, slow = made.contrasts
    assert all(one.first_word.total and one.voice_to_voice.total for one in made.contrasts)
    assert not twin.first_word.total.found and not twin.voice_to_voice.total.found  # type: ignore[union-attr]
    assert cold.first_word.total.median == pytest.approx(1000, rel=0.1)  # type: ignore[union-attr]
    assert cold.first_word.where == ("start",) and cold.voice_to_voice.where == ()
    assert slow.voice_to_voice.total.median == pytest.approx(300, rel=0.1)  # type: ignore[union-attr]
    assert slow.voice_to_voice.where == ("bot",) and slow.first_word.where == ()
