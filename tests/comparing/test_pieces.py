"""How the time of one call is taken apart."""

from dataclasses import replace

import pytest

from tests.comparing.made import FAILED, heard
from voicedeploy.call import Phases
from voicedeploy.comparing.pieces import Pieces, Way, first_word, voice_to_voice


def parts(made: Pieces | None) -> tuple[float, float, float]:
    assert made is not None
    return made.network, made.start, made.bot


def test_five_round_trips_the_start_and_the_bot() -> None:
    run = heard(trip=100, start=300, bot=80)
    assert parts(first_word(run, Way(100, 100), tls=False)) == pytest.approx((500, 300, 100))


def test_the_pieces_add_up() -> None:
    run = replace(heard(trip=37, start=11, bot=3), gather_ms=7.0)
    assert sum(parts(first_word(run, Way(35, 39), tls=False))) == pytest.approx(run.first_word_ms)


def test_a_new_connection_is_the_networks() -> None:
    """Who has bought a token is connected already, before the clock runs."""
    run = replace(heard(trip=100), connect_ms=210.0, phases=Phases(315.0, 120.0, 100.0, 100.0, 200.0))
    assert parts(first_word(run, Way(100, 100), tls=True))[:2] == pytest.approx((500, 215))
    assert parts(first_word(replace(run, token_ms=None), Way(100, 100), tls=True))[:2] == pytest.approx((710, 5))


def test_a_phase_is_never_more_network_than_it_took() -> None:
    run = heard(trip=50, start=0, bot=0)
    network, start, bot = parts(first_word(run, Way(400, 400), tls=False))
    assert (network, start, bot) == pytest.approx((run.first_word_ms, 0, 0))


@pytest.mark.parametrize(("tls", "trips"), [(False, 2), (True, 3)])
def test_a_socket_is_a_connection_and_a_request(tls: bool, trips: int) -> None:
    phases = Phases(100.0, 320.0, 0.0, 0.0, 250.0)
    run = replace(heard(trip=100), phases=phases, first_word_ms=phases.total)
    network, start, bot = parts(first_word(run, Way(100, 100), tls=tls))
    assert network == 100 + trips * 100 + 100
    assert (start, bot) == pytest.approx((0, 670 - network))


def test_one_way_stands_for_the_other_and_that_is_said() -> None:
    assert Way.of(None, None) is None
    assert Way.of(10, 20) == Way(10, 20)
    assert Way.of(None, 20) == Way(20, 20, assumed=True)
    assert Way.of(10, None) == Way(10, 10, assumed=True)


def test_nothing_heard_has_no_pieces() -> None:
    assert first_word(FAILED, Way(10, 10), tls=False) is None


def test_voice_to_voice_is_one_round_trip_and_the_bot() -> None:
    assert parts(voice_to_voice(700, Way(1, 160))) == (160, 0, 540)
    assert parts(voice_to_voice(100, Way(1, 160))) == (100, 0, 0)
