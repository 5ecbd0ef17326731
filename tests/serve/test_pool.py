"""How many processes there are in all, over every small case."""

from itertools import product
from math import ceil

import pytest

from voicedeploy.serve.pool import Warm, processes, warm

WARMS = [Warm(percent=p) for p in (0, 1, 20, 33, 50, 99)] + [Warm(count=n) for n in (0, 1, 3, 100)]
CASES = [
    (busy, spare, least, most)
    for busy, spare, least, most in product(range(12), WARMS, range(4), range(1, 10))
    if least <= most
]


def test_a_share_is_a_share_of_all() -> None:
    for busy, percent in product(range(200), range(100)):
        total = processes(busy, Warm(percent=percent), least=0, most=10**6)
        assert total == ceil(busy * 100 / (100 - percent))
        # At least this share idles, and one process fewer would be too few.
        assert (total - busy) * 100 >= percent * total
        assert total == busy or (total - 1 - busy) * 100 < percent * (total - 1)


def test_between_least_and_most_and_never_below_the_busy_ones() -> None:
    for busy, spare, least, most in CASES:
        total = processes(busy, spare, least=least, most=most)
        assert total >= busy
        assert total >= least
        assert total <= max(most, busy)


def test_more_calls_never_mean_fewer_processes() -> None:
    for busy, spare, least, most in CASES:
        assert processes(busy + 1, spare, least=least, most=most) >= processes(busy, spare, least=least, most=most)


def test_a_number_is_beyond_the_busy_ones() -> None:
    assert processes(3, Warm(count=2), least=1, most=8) == 5
    assert processes(7, Warm(count=2), least=1, most=8) == 8
    assert processes(0, Warm(count=0), least=1, most=8) == 1


def test_the_issue_s_example() -> None:
    assert [processes(busy, warm("20%"), least=1, most=8) for busy in range(9)] == [1, 2, 3, 4, 5, 7, 8, 8, 8]


@pytest.mark.parametrize(("text", "value"), [("20%", Warm(percent=20)), ("0%", Warm(percent=0)), (2, Warm(count=2))])
def test_reading(text: object, value: Warm) -> None:
    assert warm(text) == value


@pytest.mark.parametrize("text", ["100%", "-1%", "%", "x", "20", -1, True, 1.5, None])
def test_what_cannot_be_read_names_the_remedy(text: object) -> None:
    with pytest.raises(ValueError, match='write a share like "20%" or a number'):
        warm(text)
