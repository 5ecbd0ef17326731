"""Summary, verdict, JSON and page of runs whose numbers are made up."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from voicedeploy.call import (
    CandidatePair,
    Environment,
    Exchange,
    Failure,
    Health,
    Lag,
    Phases,
    Report,
    Run,
    Spread,
)
from voicedeploy.call.html import page

ENVIRONMENT = Environment.here()
GOOD = Run(
    ok=True,
    started_at="2026-11-20T10:00:00.000+00:00",
    session_id="s1",
    phases=Phases(10.04, 20.0, 30.0, 5.0, 75.0),
    first_word_ms=140.04,
    greeted=True,
    greeting="Hello, I am a bot.",
    turns=(Exchange("hello", 300.0, "hello", "hi"), Exchange("time", 400.0)),
    candidate_pair=CandidatePair("host 127.0.0.1:4000", "host 127.0.0.1:5000"),
    audio=Health(packets=500, lost=0, jitter_ms=1.2, max_gap_ms=31.0, loudest=9000),
    same_machine=True,
    levels=((0, -99), (60, -20), (120, -20)),
)
FAILED = Run(
    ok=False,
    started_at="2026-11-20T10:00:00.000+00:00",
    error=Failure("no-pair", "no UDP packet came through", "open the port range"),
    phases=Phases(10.0, 20.0),
)


def report(*runs: Run, sessions: int = 1) -> Report:
    return Report("http://localhost:7860", runs, ENVIRONMENT, sessions)


def verdict(made: Report, about: str) -> tuple[bool | None, str]:
    return next((v.holds, v.text) for v in made.verdict if v.about == about)


def slower(run: Run, *, first_word: float | None = None, answer: float | None = None) -> Run:
    if first_word is not None:
        late = first_word - 65.04
        run = replace(run, first_word_ms=first_word, phases=replace(run.phases, first_word=late))
    if answer is not None:
        run = replace(run, turns=(Exchange("hello", answer),))
    return run


def test_spread_is_linear_between_values() -> None:
    assert Spread.of([]) == Spread(None, None)
    assert Spread.of([5.0]) == Spread(5.0, 5.0)
    spread = Spread.of([4.0, 1.0, 2.0, 3.0])
    assert spread.p50 == pytest.approx(2.5)
    assert spread.p95 == pytest.approx(3.85)


def test_the_json_has_every_promised_key_and_value() -> None:
    body: dict[str, Any] = json.loads(json.dumps(report(GOOD, FAILED).to_json()))
    good, failed = body["runs"]
    assert (body["url"], body["transport"]) == ("http://localhost:7860", "webrtc")
    assert good["session_id"] == "s1" and good["ok"] is True and good["error"] is None
    assert good["phases_ms"] == {"start": 10.0, "offer": 20.0, "ice": 30.0, "dtls": 5.0, "first_word": 75.0}
    assert good["first_word_ms"] == 140.0
    assert sum(good["phases_ms"].values()) == pytest.approx(good["first_word_ms"], abs=50)
    first = good["turns"][0]
    assert (first["voice_to_voice_ms"], first["heard"], first["said"]) == (300.0, "hello", "hi")
    pair = good["candidate_pair"]
    assert (pair["local"], pair["remote"], pair["protocol"]) == ("host 127.0.0.1:4000", "host 127.0.0.1:5000", "udp")
    audio = good["audio"]
    assert (audio["packets"], audio["lost"], audio["jitter_ms"], audio["max_gap_ms"]) == (500, 0, 1.2, 31.0)
    assert failed["ok"] is False and failed["first_word_ms"] is None and failed["candidate_pair"] is None
    assert failed["phases_ms"] == {"start": 10.0, "offer": 20.0, "ice": None, "dtls": None, "first_word": None}
    assert failed["error"] == {
        "code": "no-pair",
        "message": "no UDP packet came through",
        "hint": "open the port range",
    }
    summary = body["summary"]
    assert (summary["ok"], summary["failed"], summary["failures"]) == (1, 1, {"no-pair": 1})
    assert summary["first_word_ms"] == {"p50": 140.0, "p95": 140.0}
    assert summary["voice_to_voice_ms"] == {"p50": 350.0, "p95": 395.0}


def test_a_failed_run_counts_as_failed_and_in_no_figure() -> None:
    made = report(GOOD, replace(FAILED, first_word_ms=9999.0))
    assert not made.ok
    assert made.summary.first_word_ms.p95 == pytest.approx(140.04)
    assert verdict(made, "heard") == (False, "1 of 2 calls failed: 1 no-pair.")


def test_no_runs_are_no_success() -> None:
    assert not report().ok
    assert verdict(report(), "first word")[0] is None


@pytest.mark.parametrize(
    ("first_word", "holds", "says"),
    [(1900.0, True, "well under"), (2500.0, True, "and no more"), (3100.0, False, "Most of it is `first_word`")],
)
def test_first_word_is_judged_by_what_web_callers_wait(first_word: float, holds: bool, says: str) -> None:
    held, text = verdict(report(slower(GOOD, first_word=first_word)), "first word")
    assert held is holds
    assert says in text


@pytest.mark.parametrize(
    ("answer", "same_machine", "holds"),
    [(499.0, True, True), (501.0, True, False), (501.0, False, True), (950.0, False, True), (1001.0, False, False)],
)
def test_voice_to_voice_is_judged_by_where_the_bot_is(answer: float, same_machine: bool, holds: bool) -> None:
    run = replace(slower(GOOD, answer=answer), same_machine=same_machine)
    assert verdict(report(run), "voice to voice")[0] is holds


def test_damaged_audio_is_said_in_words() -> None:
    lossy = replace(GOOD, audio=replace(GOOD.audio, packets=480, lost=20, gaps=3))
    held, text = verdict(report(lossy), "audio")
    assert held is False
    assert text == "Damaged audio: 4.0% of the packets lost and audible gaps above 60 ms in 1 of 1 calls."


def test_a_caller_that_is_late_itself_says_so() -> None:
    assert all(v.about != "caller" for v in report(GOOD).verdict)
    held, text = verdict(report(replace(GOOD, lag=Lag(reading_p95_ms=35.0))), "caller")
    assert held is False and "35 ms" in text


def test_a_bot_that_does_not_greet_is_mentioned() -> None:
    assert "does not greet" in verdict(report(replace(GOOD, greeted=False)), "first word")[1]


def test_barge_in_is_counted_over_all_interruptions() -> None:
    assert all(v.about != "barge-in" for v in report(GOOD).verdict)
    turns = (Exchange("a", 300.0, barge_in_ms=200.0), Exchange("b", 300.0, barge_in_ms=600.0), Exchange("c", None))
    run = replace(GOOD, turns=turns)
    assert run.barge_in_ms == 600.0
    made = replace(report(run), transport="twilio")
    body = made.to_json()
    assert body["summary"]["barge_in_ms"] == {"p50": 400.0, "p95": 580.0}
    assert body["runs"][0]["barge_in_ms"] == 600.0
    assert [turn["barge_in_ms"] for turn in body["runs"][0]["turns"]] == [200.0, 600.0, None]
    assert verdict(made, "barge-in") == (None, "Interrupted, the bot talks on for 0.40 s.")
    text = page(made)
    assert "Barge-in" in text and "1 call over twilio" in text


def test_a_line_without_ice_and_dtls_has_phases_that_add_up() -> None:
    run = replace(
        GOOD, phases=Phases(20.0, 5.0, 0.0, 0.0, 75.0), first_word_ms=100.0, candidate_pair=None, ahead_ms=160.0
    )
    body = run.to_json()
    assert sum(body["phases_ms"].values()) == body["first_word_ms"]
    assert body["candidate_pair"] is None and body["audio"]["ahead_ms"] == 160.0


def test_the_page_is_one_file_that_asks_nobody_for_anything() -> None:
    text = page(report(GOOD, FAILED, sessions=2))
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("<script>") == 2  # plotly once, and what draws
    assert not re.search(r"""(src|href)=|@import|url\(""", own)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert set(figures) == {"phases", "turns", "picture", "audio"}
    assert [bar["name"] for bar in figures["phases"]["data"]] == ["start", "offer", "ice", "dtls", "first word"]
    assert figures["phases"]["data"][4]["x"] == [75.0, None]
    embedded = json.loads(re.search(r'id="report">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert embedded["summary"]["failed"] == 1
    assert "open the port range" in own


def test_what_a_bot_says_cannot_break_out_of_the_page() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    turns = (Exchange(evil, 300.0, evil, evil),)
    text = page(report(replace(GOOD, greeting=evil, session_id=evil, turns=turns)))
    assert "<script>alert" not in text
    assert "<img src=x" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("<script>") == 2
