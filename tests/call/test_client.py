"""Real calls to a front in this process: what is measured is compared with what the bot itself did and when."""

from dataclasses import replace

import numpy as np
import pytest
from starlette.responses import JSONResponse

from tests.call.stub import Front, error, running, without_candidates
from voicedeploy.call import Callee, CallOptions, Script, Turn, call, call_many
from voicedeploy.call.audio import encode

QUICK = CallOptions(greeting_timeout_s=3, answer_timeout_s=4, quiet_s=0.2, connect_timeout_s=5)
HASTY = CallOptions(greeting_timeout_s=0.3, answer_timeout_s=0.8, quiet_s=0.2, connect_timeout_s=0.6)
"""For what does not come anyway."""
TONE = (8000 * np.sin(2 * np.pi * 300 * np.arange(14_400) / 48_000)).astype(np.int16)
SHORT = Script((Turn("beep", encode(TONE)),))


async def test_the_phases_of_a_greeting_add_up_to_what_the_bot_saw() -> None:
    front = Front(greets_after_s=0.2, start_delay_s=0.15)
    async with running(front) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.ok, run.error
    assert run.greeted
    assert run.first_word_ms is not None and run.phases.total is not None
    assert run.phases.total == pytest.approx(run.first_word_ms, abs=50)
    assert front.mouth.first_spoken is not None
    seen_by_bot = (front.mouth.first_spoken - front.start_received) * 1000
    assert run.first_word_ms == pytest.approx(seen_by_bot, abs=100)
    assert run.phases.start is not None and run.phases.first_word is not None
    assert run.phases.start >= 150
    assert run.phases.first_word >= 190
    assert run.candidate_pair is not None and run.same_machine
    assert run.audio.packets > 50 and run.audio.lost == 0


@pytest.mark.lab
async def test_voice_to_voice_is_the_bots_delay() -> None:
    async with running(Front(answers_after_s=0.6)) as callee:
        run = await call(callee, SHORT, QUICK)
    (turn,) = run.turns
    assert turn.voice_to_voice_ms is not None
    # aiortc's jitter buffer at the bot adds 60 to 100 ms before it hears anything.
    assert 580 <= turn.voice_to_voice_ms <= 1500
    assert turn.asked == "beep"
    assert turn.spoke_until_ms > turn.spoke_from_ms


async def test_a_bot_that_does_not_greet_is_not_charged_with_the_callers_patience() -> None:
    async with running(Front(greets_after_s=None)) as callee:
        run = await call(callee, SHORT, replace(QUICK, greeting_timeout_s=0.3))
    assert run.ok, run.error
    assert run.greeted is False
    assert run.first_word_ms is not None and run.phases.total is not None
    assert run.phases.total == pytest.approx(run.first_word_ms, abs=50)
    assert run.phases.first_word == run.turns[0].voice_to_voice_ms
    assert run.left_out_ms > 590  # 0.3 s of patience, 0.3 s of speech
    assert "does not greet" in run.notes[0]


async def test_a_greeting_that_suffices() -> None:
    front = Front(greets_after_s=0.2)
    async with running(front) as callee:
        run = await call(callee, SHORT, replace(QUICK, greeting_suffices=True))
    assert run.ok and run.greeted and run.first_word_ms is not None
    assert run.turns == ()
    async with running(Front(greets_after_s=None, answers_after_s=0.2)) as callee:  # no greeting: it is spoken to
        run = await call(callee, SHORT, replace(QUICK, greeting_suffices=True, greeting_timeout_s=0.3))
    assert run.ok and not run.greeted and len(run.turns) == 1


async def test_nothing_listens() -> None:
    run = await call(Callee.parse("http://127.0.0.1:9/"), SHORT, QUICK)
    assert not run.ok and run.error is not None
    assert run.error.layer == "signalling"
    assert "nothing answers at http://127.0.0.1:9" in run.error.message
    assert "voicedeploy" in run.error.hint


async def test_a_platform_that_is_full_says_so_in_its_own_words() -> None:
    full = {"status": 429, "code": "429", "message": "Rate limit exceeded. Please try again later"}
    async with running(Front(refuses={"start": JSONResponse(full, 429)})) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "busy"
    assert run.error.message == "Rate limit exceeded. Please try again later (429 /start)"


async def test_another_service_answers() -> None:
    front = Front(refuses={"start": error(418, "teapot", "I am a teapot")})
    async with running(front) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "signalling"
    assert "418 I am a teapot" in run.error.message


async def test_refused_without_a_token() -> None:
    front = Front(refuses={"start": error(401, "unauthorized", "a token is needed", "open the page with its link")})
    async with running(front) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "refused"
    assert "a token is needed" in run.error.message
    assert run.error.hint == "open the page with its link"


async def test_busy_says_when_to_call_again() -> None:
    busy = error(503, "busy", "all 4 slots are busy", **{"Retry-After": "7"})
    async with running(Front(refuses={"start": busy})) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "busy"
    assert "all 4 slots are busy" in run.error.message
    assert run.error.hint == "call again in 7 s"


@pytest.mark.lab
async def test_busy_is_waited_for_if_asked_to_and_does_not_count() -> None:
    busy = error(503, "busy", "all slots are busy", **{"Retry-After": "1"})
    async with running(Front(refuses={"start": busy}, refusals=1)) as callee:
        run = await call(callee, Script.demo(0), replace(QUICK, busy_wait_s=3))
    assert run.ok, run.error
    assert run.waited_ms == pytest.approx(1000, abs=500)
    assert run.first_word_ms is not None and run.first_word_ms < run.duration_ms


async def test_an_invitation_buys_a_token_for_the_start() -> None:
    front = Front()
    async with running(front) as callee:
        run = await call(replace(callee, invite="INVITE"), Script.demo(0), QUICK)
    assert run.ok, run.error
    assert front.asked[0] == ("POST", "/token", "Bearer INVITE")
    assert front.asked[1] == ("POST", "/start", "Bearer START")
    assert front.asked[2][1] == "/sessions/s1/api/offer"
    assert run.token_ms is not None


async def test_a_key_is_used_itself_where_there_are_no_tokens() -> None:
    front = Front(refuses={"token": error(404, "not-found", "")})
    async with running(front) as callee:
        run = await call(replace(callee, key="KEY"), Script.demo(0), QUICK)
    assert run.ok, run.error
    assert front.asked[1] == ("POST", "/start", "Bearer KEY")


async def test_a_server_with_only_an_offer_endpoint() -> None:
    front = Front(refuses={"start": error(404, "not-found", "")})
    async with running(front) as callee:
        run = await call(callee, Script.demo(0), QUICK)
    assert run.ok, run.error
    assert front.asked[1][1] == "/api/offer"


def _container(sdp: str) -> str:
    """As from inside a bridge network whose ports nobody published: addresses that lead nowhere."""
    dead = "a=candidate:1 1 udp 2130706431 127.77.0.2 9 typ host"
    lines = without_candidates(sdp).split("\r\n")
    return "\r\n".join(part for line in lines for part in ([dead, line] if line.startswith("a=ice-ufrag") else [line]))


async def test_an_answer_without_addresses() -> None:
    async with running(Front(rewrite=without_candidates)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "no-candidates"
    assert "named no address" in run.error.message


async def test_no_packet_comes_through() -> None:
    front = Front(rewrite=_container, blind=True)
    async with running(front) as callee:
        run = await call(callee, SHORT, HASTY)
    assert run.error is not None
    assert run.error.layer == "no-pair"
    assert "no UDP packet came through" in run.error.message
    assert "host 127.77.0.2:9" in run.error.message
    assert "host's network" in run.error.hint and "transport.turn" in run.error.hint
    assert run.phases.offer is not None and run.phases.ice is None
    assert run.first_word_ms is None
    assert front.asked[-1][:2] == ("DELETE", "/sessions/s1")


@pytest.mark.lab
async def test_the_encrypted_channel_does_not_come_up() -> None:
    def forged(sdp: str) -> str:
        lines = [line for line in sdp.split("\r\n") if not line.startswith("a=fingerprint:sha-") or "sha-256" in line]
        return "\r\n".join(
            f"a=fingerprint:sha-256 {':'.join(['00'] * 32)}" if "sha-256" in line else line for line in lines
        )

    async with running(Front(rewrite=forged)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "dtls"
    assert run.phases.ice is not None and run.phases.dtls is None


async def test_a_silent_bot() -> None:
    async with running(Front(greets_after_s=None, answers_after_s=None)) as callee:
        run = await call(callee, SHORT, HASTY)
    assert run.error is not None
    assert run.error.layer == "silent"
    assert "all silent" in run.error.message
    assert "--session s1" in run.error.hint


@pytest.mark.lab
async def test_a_bot_that_greets_but_is_deaf() -> None:
    async with running(Front(answers_after_s=None)) as callee:
        run = await call(callee, SHORT, HASTY)
    assert not run.ok and run.error is not None
    assert run.error.layer == "silent"
    assert "gave no answer" in run.error.message
    assert run.first_word_ms is not None
    assert run.turns[0].voice_to_voice_ms is None


@pytest.mark.lab
async def test_a_bot_that_hangs_up_before_it_speaks() -> None:
    async with running(Front(hangs_up_after_s=0.1)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "silent"
    assert "ended the call" in run.error.message


async def test_relay_only_needs_a_turn_server() -> None:
    async with running(Front()) as callee:
        run = await call(callee, SHORT, replace(QUICK, relay_only=True))
    assert run.error is not None
    assert run.error.layer == "no-candidates"
    assert "a call by a relay only needs a TURN server" in run.error.message


async def test_the_front_may_want_a_relay_only() -> None:
    async with running(Front(relay_only=True)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.error is not None
    assert run.error.layer == "no-candidates"


@pytest.mark.lab
async def test_relay_only_names_a_turn_server_that_does_not_answer() -> None:
    turn = {"urls": "turn:127.0.0.1:9", "username": "u", "credential": "p"}
    async with running(Front(ice_servers=[turn])) as callee:
        run = await call(callee, SHORT, replace(QUICK, relay_only=True))
    assert run.error is not None
    assert run.error.layer == "no-candidates"
    assert "the TURN server 127.0.0.1:9 (udp) does not answer" in run.error.message


@pytest.mark.lab
async def test_many_calls_in_processes_of_their_own() -> None:
    texts: list[str] = []
    async with running(Front(greets_after_s=None, refuses={"start": error(503, "busy", "full")})) as callee:
        report = await call_many(
            callee, SHORT, QUICK, runs=2, sessions=2, progress=lambda p: texts.append(f"{p.done}/{p.total}")
        )
    assert [run.error.layer for run in report.runs if run.error] == ["busy"] * 4
    assert texts == ["1/4", "2/4", "3/4", "4/4"]
    assert report.summary.failures == {"busy": 4}
    assert not report.ok


async def test_the_round_trip_is_asked_for_during_the_call() -> None:
    """On this machine it is next to nothing, however long the bot thinks."""
    async with running(Front(answers_after_s=0.5)) as callee:
        run = await call(callee, SHORT, QUICK)
    assert run.ok, run.error
    assert run.round_trip_ms is not None and 0 < run.round_trip_ms < 100
    assert run.to_json()["round_trip_ms"] == pytest.approx(run.round_trip_ms, abs=0.06)
