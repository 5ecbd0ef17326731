"""Tokens, addresses and origins, each by itself."""

import random

import pytest

from voicedeploy.serve.cores import least_loaded
from voicedeploy.serve.origins import address, networks, never_left, origin_allowed, same_origin
from voicedeploy.serve.rate import ADDRESSES_AT_MOST, Rate
from voicedeploy.serve.tokens import InvalidToken, Tokens


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_lives_as_long_as_it_says() -> None:
    clock = Clock()
    tokens = Tokens("k" * 40, clock=clock)
    text = tokens.mint("start", 60)
    assert tokens.read(text).kind == "start"
    clock.now += 59
    tokens.read(text)
    clock.now += 2
    with pytest.raises(InvalidToken) as caught:
        tokens.read(text)
    assert caught.value.code == "token-expired"


def test_a_token_is_spent_once() -> None:
    tokens = Tokens("k" * 40)
    text = tokens.mint("start")
    tokens.spend(tokens.read(text))
    with pytest.raises(InvalidToken) as caught:
        tokens.read(text)
    assert caught.value.code == "token-spent"
    assert tokens.read(tokens.mint("start")).kind == "start"


def test_no_changed_token_is_good() -> None:
    tokens = Tokens("k" * 40)
    text = tokens.mint("invite", 3600)
    for position in range(len(text)):
        other = "A" if text[position] != "A" else "B"
        changed = text[:position] + other + text[position + 1 :]
        try:
            tokens.read(changed)
        except InvalidToken as error:
            assert error.code == "bad-token"
        else:
            raise AssertionError(changed)


@pytest.mark.parametrize("text", ["", ".", "a.b", "ü.ü", "k" * 40, "x" * 10_000, "a.b.c"])
def test_nonsense_is_no_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        Tokens("k" * 40).read(text)


def test_another_key_s_token() -> None:
    with pytest.raises(InvalidToken):
        Tokens("k" * 40).read(Tokens("q" * 40).mint("start"))
    assert Tokens("k" * 40).is_key("k" * 40)
    assert not Tokens("k" * 40).is_key("k" * 39)
    assert not Tokens("k" * 40).is_key("ü")


def test_spent_tokens_are_forgotten_when_they_expire() -> None:
    clock = Clock()
    tokens = Tokens("k" * 40, clock=clock)
    for _ in range(500):
        tokens.spend(tokens.read(tokens.mint("start", 60)))
        clock.now += 1
    assert len(tokens._spent) < 130


def test_the_rate_of_an_address() -> None:
    clock = Clock()
    rate = Rate(3, clock=clock)
    for _ in range(3):
        assert rate.wait_s("10.0.0.1") == 0
        rate.count("10.0.0.1")
        clock.now += 10
    assert rate.wait_s("10.0.0.1") == 30
    assert rate.wait_s("10.0.0.2") == 0
    clock.now += 30
    assert rate.wait_s("10.0.0.1") == 0


def test_the_rate_never_exceeds_its_limit_in_any_window() -> None:
    clock, dice = Clock(), random.Random(7)  # noqa: S311
    rate = Rate(5, clock=clock)
    done: list[float] = []
    for _ in range(2000):
        clock.now += dice.expovariate(0.5)
        if not rate.wait_s("a"):
            rate.count("a")
            done.append(clock.now)
            assert sum(1 for time in done if time > clock.now - 60) <= 5
    assert len(done) > 100


def test_the_rate_s_memory_is_bounded() -> None:
    rate = Rate(10)
    for number in range(ADDRESSES_AT_MOST + 500):
        rate.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(rate) == ADDRESSES_AT_MOST


def test_ipv6_counts_by_network() -> None:
    rate = Rate(1)
    rate.count("2001:db8:1:2::1")
    assert rate.wait_s("2001:db8:1:2:ffff::9") > 0
    assert rate.wait_s("2001:db8:1:3::1") == 0
    rate.count("::ffff:10.0.0.1")
    assert rate.wait_s("10.0.0.1") > 0


def test_no_limit() -> None:
    rate = Rate(0)
    for _ in range(100):
        rate.count("a")
    assert (rate.wait_s("a"), len(rate)) == (0, 0)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "10.9.9.9", "198.51.100.1"),  # not a proxy of ours: not believed
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # what the client made up stands further left
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_client_s_address(peer: str, forwarded: str, client: str) -> None:
    assert address(peer, forwarded, networks(["10.0.0.0/8"])) == client


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", {"host": "localhost:7860"}, True),
        ("127.0.0.1", {"host": "127.0.0.1:7860"}, True),
        ("::1", {"host": "[::1]:7860"}, True),
        ("::ffff:127.0.0.1", {"host": "localhost"}, True),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "http://localhost:7860"}, True),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "http://localhost:3000"}, False),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "https://evil.example"}, False),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "null"}, False),
        ("127.0.0.1", {"host": "rebound.evil.example:7860"}, False),
        ("127.0.0.1", {"host": "localhost.evil.example"}, False),
        ("127.0.0.1", {"host": "localhost@evil.example"}, False),
        ("127.0.0.1", {}, False),
        ("127.0.0.1", {"host": "localhost", "x-forwarded-for": "198.51.100.1"}, False),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=198.51.100.1"}, False),
        ("127.0.0.1", {"host": "localhost", "via": "1.1 proxy"}, False),
        ("10.0.0.1", {"host": "localhost"}, False),
    ],
)
def test_what_never_left_this_machine(peer: str, headers: dict[str, str], local: bool) -> None:
    assert never_left(peer, headers) is local


def test_origins() -> None:
    assert same_origin("https://bot.example", "bot.example")
    assert same_origin("https://bot.example", "bot.example:443")
    assert not same_origin("https://bot.example", "bot.example:80")
    assert not same_origin("https://bot.example:8443", "bot.example")
    assert not same_origin("null", "bot.example")
    assert not same_origin("https://bot.example:x", "bot.example")
    assert origin_allowed("", "bot.example", [])
    assert origin_allowed("https://app.example", "bot.example", ["https://app.example"])
    assert not origin_allowed("https://app.example.evil", "bot.example", ["https://app.example"])
    assert origin_allowed("null", "bot.example", ["*"])


def test_the_least_loaded_core() -> None:
    assert least_loaded({}, {}, []) is None
    assert least_loaded({}, {}, [2, 3]) == 2
    assert least_loaded({0: 1}, {0: 0.0, 1: 90.0}, [0, 1]) == 1
    assert least_loaded({0: 1, 1: 1}, {0: 50.0, 1: 20.0}, [0, 1]) == 1
