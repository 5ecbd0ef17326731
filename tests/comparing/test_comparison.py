"""What is said of a comparison: sentences, JSON and the page."""

import json
import re
from dataclasses import replace

import pytest

from tests.comparing.made import ELSEWHERE, FAILED, comparison, heard, outcome
from voicedeploy.call import Health, Run
from voicedeploy.comparing import Comparison, answer, verdict
from voicedeploy.comparing.html import page

ROUNDS = 12
NOISE = [0, 9, -7, 4, -3, 12, -11, 6, -5, 2, 8, -8]


def rounds(count: int = ROUNDS, /, **how: float) -> list[Run]:
    return [heard(**how, noise=NOISE[n % len(NOISE)]) for n in range(count)]


def made(*, trip: float = 20, **other: float) -> Comparison:
    """Twelve rounds of a side 20 ms away, and of another one."""
    near = outcome("near", rounds(trip=20))
    # Its noise is another one: the rounds are not copies of each other.
    far = outcome("far", rounds(trip=trip, **other)[::-1])
    return comparison(near, far)


def said(comparison: Comparison, about: str) -> str:
    return " ".join(sentence.text for sentence in verdict(comparison) if sentence.about == about)


def test_distance_is_told_from_slowness() -> None:
    (contrast,) = made(trip=180).contrasts
    assert contrast.first_word.total is not None and contrast.voice_to_voice.total is not None
    assert contrast.first_word.total.median == pytest.approx(800, abs=10)
    assert contrast.voice_to_voice.total.median == pytest.approx(160, abs=10)
    assert contrast.first_word.where == contrast.voice_to_voice.where == ("network",)
    assert "`far` is 0.80 s later than `near`" in said(made(trip=180), "first word, apart")
    assert "It sits in the network." in said(made(trip=180), "voice to voice, apart")


def test_a_slow_start_and_a_slow_bot() -> None:
    (cold,) = made(start=405).contrasts
    assert cold.first_word.where == ("start",) and cold.voice_to_voice.where == ()
    (slow,) = made(answer=500).contrasts
    assert slow.voice_to_voice.where == ("bot",) and slow.first_word.where == ()
    (both,) = made(start=605, bot=400).contrasts
    assert both.first_word.where == ("start", "bot")


def test_equal_sides() -> None:
    (contrast,) = made().contrasts
    assert not contrast.first_word.total.found and not contrast.voice_to_voice.total.found  # type: ignore[union-attr]
    assert not any(phase.found for phase in contrast.phases.values() if phase)
    assert "no difference found between `near` and `far`" in said(made(), "first word, apart")


def test_few_rounds_tell_nothing_and_say_so() -> None:
    few = comparison(outcome("near", rounds(3, trip=20)), outcome("far", rounds(3, trip=180)))
    assert "8 rounds are needed, and there are 3" in said(few, "first word, apart")


def test_who_is_good_enough_and_what_would_help() -> None:
    far = made(trip=500, answer=700)
    assert [one.good_enough for one in far.outcomes] == [True, False]
    assert "only `near` holds the 800 to 1000 ms across a network" in said(far, "voice to voice")
    assert "network 0.50 s, bot 0.72 s: a place nearer to your callers would do" in said(far, "voice to voice")
    assert "Good enough for your users: `near`. Not good enough: `far`." in said(far, "good enough")
    slow = made(answer=1100)
    assert "the bot itself takes it" in said(slow, "voice to voice")
    cold = made(start=3000)
    assert "keep one warm" in said(cold, "first word")
    assert said(made(), "first word") == "First word: both hold the 2 to 3 s that web callers wait."


def test_a_phone_is_given_more_time_and_one_machine_less() -> None:
    slow = rounds(trip=20, start=3000)
    on_the_phone = comparison(
        outcome("near", rounds(trip=20), transport="twilio"),
        outcome("far", slow, transport="twilio"),
    )
    assert all(one.good_enough for one in on_the_phone.outcomes)
    assert "3 to 5 s that callers on the phone wait" in said(on_the_phone, "first word")
    here = [replace(run, same_machine=True) for run in rounds(trip=0, answer=600)]
    one = comparison(outcome("a", here), outcome("b", here))
    assert said(one, "voice to voice").startswith("Voice to voice: neither holds the 500 ms on one machine.")


def test_a_failed_call_is_in_no_figure_and_said() -> None:
    runs = rounds(trip=20)
    other = comparison(outcome("near", runs), outcome("far", [*runs[:-1], FAILED]))
    assert not other.ok
    assert other.outcomes[1].good_enough is False
    assert said(other, "heard") == "`far`: 1 of 12 calls failed: 1 no-pair."
    total = other.contrasts[0].first_word.total
    assert total is not None and total.rounds == 11


def test_a_side_that_was_never_heard() -> None:
    other = comparison(outcome("near", rounds(3, trip=20)), outcome("far", [FAILED] * 3))
    assert other.contrasts[0].first_word.total is None
    assert "only" not in said(other, "first word")
    assert answer(other)["sides"][1]["good_enough"] is False
    assert "open the port range" in page(other)


def test_a_room_where_nothing_is_heard_is_not_judged() -> None:
    joined = [replace(ELSEWHERE, first_word_ms=None, turns=(), audio=Health(), joined_ms=900.0)] * 3
    other = comparison(outcome("a", joined, transport="daily"), outcome("b", joined, transport="daily"))
    assert [one.good_enough for one in other.outcomes] == [None, None]
    assert said(other, "first word") == "First word: nothing was measured."


def test_more_than_two_are_each_compared_with_the_first() -> None:
    three = comparison(*(outcome(name, rounds(trip=20)) for name in "abc"))
    assert [(one.against, one.name) for one in three.contrasts] == [("a", "b"), ("a", "c")]
    assert said(three, "first word") == "First word: all hold the 2 to 3 s that web callers wait."


def test_the_json() -> None:
    body = json.loads(json.dumps(answer(made(trip=180))))
    assert body["rounds"] == 12
    near, far = body["sides"]
    assert (near["name"], far["good_enough"], far["round_trip_ms"]["media"]) == ("near", True, 180)
    assert far["made_of_ms"]["first_word"]["network"] == 900
    assert far["summary"]["ok"] == 12 and len(far["runs"]) == 12
    (apart,) = body["differences"]
    assert apart["first_word"]["where"] == ["network"] and apart["first_word"]["found"] is True
    assert set(apart["first_word"]["made_of"]) == {"network", "start", "bot"}
    assert set(apart["phases"]) == {"start", "offer", "ice", "dtls", "first_word"}
    assert {sentence["about"] for sentence in body["verdict"]} >= {"first word", "voice to voice", "good enough"}


def test_the_page_is_one_file_with_a_picture_of_each_thing() -> None:
    text = page(made(trip=180))
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("<script>") == 2
    assert not re.search(r"""(src|href)=|@import|url\(""", own)
    found = re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    figures = json.loads(found[1])
    assert set(figures) == {"made_of", "apart", "phases", "first_word", "voice_to_voice", "rounds", "audio"}
    assert set(re.findall(r'data-figure="(\w+)"', own)) == set(figures)
    total = figures["apart"]["data"][0]
    assert total["y"] == ["far: first word"] and total["x"][0] == pytest.approx(800, abs=10)


def test_a_sides_name_cannot_break_out_of_the_page() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    runs = rounds(trip=20)
    text = page(comparison(outcome(evil, runs, url="http://a"), outcome("b", [*runs[:-1], FAILED])))
    assert "<script>alert" not in text
    assert "<img src=x" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
