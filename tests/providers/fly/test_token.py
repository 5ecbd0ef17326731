import pytest
from voicedeploy_providers.fly.api import NoToken, Places, Token

from voicedeploy.errors import UsageError


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ("fo1_plain", "Bearer fo1_plain"),
        ("Bearer fo1_plain\n", "Bearer fo1_plain"),
        ("FlyV1 fm2_one", "FlyV1 fm2_one"),
        ("fm2_one,fm2_two", "FlyV1 fm2_one,fm2_two"),
        ("fo1_plain,fm1r_two", "FlyV1 fo1_plain,fm1r_two"),
        ("bearer fm2_one", "FlyV1 fm2_one"),
    ],
)
def test_is_presented_as_what_it_is(given: str, header: str) -> None:
    assert Token.parse(given).header == header


def test_comes_from_the_names_that_the_vendors_tool_reads() -> None:
    assert Token.from_env({"FLY_ACCESS_TOKEN": "fo1_b"}).bare == "fo1_b"
    assert Token.from_env({"FLY_API_TOKEN": "fo1_a", "FLY_ACCESS_TOKEN": "fo1_b"}).bare == "fo1_a"
    assert Token.from_env({"FLY_API_TOKEN": " ", "FLY_ACCESS_TOKEN": "fo1_b"}).bare == "fo1_b"


@pytest.mark.parametrize("given", ["", "  ", "FlyV1 ", "two words", "fo1_ä", "fo1_a\nfo1_b"])
def test_that_cannot_be_one_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(NoToken) as refused:
        Token.from_env({"FLY_API_TOKEN": given})
    assert isinstance(refused.value, UsageError)
    assert "FLY_API_TOKEN" in refused.value.hint
    assert not given.strip() or given.strip() not in str(refused.value)


def test_is_never_shown() -> None:
    token = Token.parse("fo1_deep_secret")
    assert "deep_secret" not in f"{token!r} {token}"


def test_addresses_come_from_the_environment_as_the_vendors_do() -> None:
    places = Places.from_env(
        {"FLY_FLAPS_BASE_URL": "http://127.0.0.1:4280/", "FLY_REGISTRY_HOST": "registry.test:5000"}
    )
    assert places.flaps == "http://127.0.0.1:4280"
    assert places.registry == "https://registry.test:5000"
    assert places.registry_host == "registry.test:5000"
    assert places.api == "https://api.fly.io"
    assert places.url("voice-bot") == "https://voice-bot.fly.dev"
    assert Places.from_env({}) == Places()
