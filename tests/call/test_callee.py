"""Addresses as people paste them."""

import pytest

from voicedeploy.call import Callee
from voicedeploy.errors import UsageError


def test_each_part_is_in_its_place() -> None:
    found = Callee.parse("https://x/#invite=i", key="k", socket="s", ca="c")
    assert (found.key, found.invite, found.socket, found.ca, found.signing) == ("k", "i", "s", "c", "")


@pytest.mark.parametrize(
    ("pasted", "url", "invite"),
    [
        ("http://localhost:7860/", "http://localhost:7860", ""),
        ("https://bot.example.org/#invite=abc.DEF-1", "https://bot.example.org", "abc.DEF-1"),
        ("https://example.org/bots/desk/", "https://example.org/bots/desk", ""),
        (" http://[::1]:7860 ", "http://[::1]:7860", ""),
        ("https://example.org/?utm=1", "https://example.org", ""),
    ],
)
def test_an_address_is_read(pasted: str, url: str, invite: str) -> None:
    callee = Callee.parse(pasted)
    assert (callee.url, callee.invite) == (url, invite)


@pytest.mark.parametrize("pasted", ["localhost:7860", "ws://localhost/", "", "https://", "front-desk"])
def test_what_is_not_an_address_is_refused(pasted: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        Callee.parse(pasted)


def test_an_invitation_is_not_repeated_in_an_error() -> None:
    with pytest.raises(UsageError) as error:
        Callee.parse("htps://host/#invite=SECRET")
    assert "SECRET" not in error.value.message


def test_secrets_do_not_show_in_repr() -> None:
    shown = repr(Callee.parse("https://host/#invite=SECRET", key="KEY"))
    assert "SECRET" not in shown and "KEY" not in shown


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("localhost", True, True),
        ("127.0.0.9", True, True),
        ("[::1]", True, True),
        ("192.168.1.4", False, True),
        ("nas.local", False, True),
        ("8.8.8.8", False, False),
        ("example.org", False, False),
    ],
)
def test_how_far_away_a_host_is(host: str, loopback: bool, private: bool) -> None:
    callee = Callee.parse(f"http://{host}:80")
    assert (callee.on_loopback, callee.on_private_network) == (loopback, private)
