"""The statistic: what it finds, what it does not, and how often it is wrong."""

from math import comb

import numpy as np
import pytest

from voicedeploy.comparing import Difference


def of(*values: float) -> Difference:
    made = Difference.of(values)
    assert made is not None
    return made


def test_nothing_is_no_difference() -> None:
    assert Difference.of([]) is None


@pytest.mark.parametrize(("count", "rank"), [(8, 1), (10, 1), (12, 2), (20, 4), (50, 16)])
def test_the_interval_leaves_out_what_the_sign_test_allows(count: int, rank: int) -> None:
    """The true median lies outside with at most 1 %, and one value further in it would be more."""
    made = of(*map(float, range(1, count + 1)))
    assert (made.low, made.high) == (rank, count + 1 - rank)

    def outside(first: int) -> float:
        return sum(comb(count, k) for k in range(first)) * 2.0 ** (1 - count)

    assert outside(rank) <= 0.01 < outside(rank + 1)


def test_seven_rounds_are_too_few_to_tell() -> None:
    made = of(*[500.0] * 7)
    assert (made.median, made.low, made.high, made.found) == (500.0, None, None, False)
    assert of(*[500.0] * 8).found


def test_one_hiccup_moves_nothing() -> None:
    made = of(*[100.0 + n for n in range(19)], 90_000.0)
    assert made.median == pytest.approx(110, abs=1)
    assert made.high is not None and made.high < 120


def test_less_than_a_packet_is_no_difference_however_sure() -> None:
    assert not of(*[15.0] * 100).found
    assert of(*[25.0] * 100).found and of(*[-25.0] * 100).found


def test_equal_sides_are_hardly_ever_apart_and_the_median_is_hardly_ever_outside() -> None:
    """Noise with a long tail, as calls have it."""
    chance = np.random.default_rng(6)
    found = missed = 0
    for _ in range(2000):
        made = of(*chance.laplace(0, 60, 20).tolist())
        found += made.found
        missed += not (made.low or 0) <= 0 <= (made.high or 0)
    assert missed / 2000 <= 0.01
    assert found / 2000 <= 0.01


def test_a_difference_half_as_large_again_as_the_noise_is_found() -> None:
    chance = np.random.default_rng(7)
    found = sum(of(*chance.normal(90, 60, 20).tolist()).found for _ in range(500))
    assert found / 500 > 0.9


def test_json() -> None:
    assert of(*map(float, range(100, 120))).to_json() == {
        "median_ms": 109.5,
        "low_ms": 103.0,
        "high_ms": 116.0,
        "confidence": 0.99,
        "rounds": 20,
        "found": True,
    }
