"""How long a bot goes on talking."""

import pytest

from voicedeploy.call.barge import went_on


def talk(start: float, end: float) -> list[float]:
    return [start + at * 0.02 for at in range(round((end - start) / 0.02))]


def test_a_bot_that_gives_way() -> None:
    assert went_on([*talk(0, 2.3), *talk(4, 5)], began=2.0, ended=3.5) == pytest.approx(0.28, abs=0.02)


def test_the_answer_is_not_counted_however_soon_it_comes() -> None:
    assert went_on([*talk(0, 3.45), *talk(3.75, 5)], began=2.0, ended=3.5) == pytest.approx(1.43, abs=0.02)


def test_a_bot_that_only_breathes_has_not_given_way() -> None:
    assert went_on([*talk(0, 2.2), *talk(2.6, 3.0), *talk(4, 5)], began=2.0, ended=3.5) == pytest.approx(0.98, abs=0.02)


def test_a_bot_that_talks_over_all_of_it() -> None:
    assert went_on(talk(0, 6), began=2.0, ended=3.5) == pytest.approx(3.98, abs=0.02)


def test_nothing_to_interrupt() -> None:
    assert went_on([], 2.0, 3.0) is None
    assert went_on(talk(0, 1.4), 2.0, 3.0) is None
    assert went_on(talk(2.5, 4), 2.0, 3.0) is None
    assert went_on(talk(0, 1.8), 2.0, 3.0) is None  # it had just ended
