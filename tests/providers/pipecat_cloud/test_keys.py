import pytest
from voicedeploy_providers.pipecat_cloud.api import NoKey, PipecatCloud, Places, PrivateKey, PublicKey

from voicedeploy.errors import UsageError


def test_keys_come_from_the_environment() -> None:
    assert PrivateKey.from_env({"PIPECAT_CLOUD_API_KEY": "b"}).bare == "b"
    assert PrivateKey.from_env({"PIPECAT_CLOUD_PRIVATE_KEY": "a", "PIPECAT_CLOUD_API_KEY": "b"}).bare == "a"
    assert PublicKey.from_env({"PIPECAT_DEFAULT_PUBLIC_KEY": "Bearer pk_1\n"}).header == "Bearer pk_1"


@pytest.mark.parametrize("given", ["", " ", "two words", "schlüssel", "a\nb", "pcc_pat_secret", "pk_public"])
def test_what_cannot_be_a_private_key_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(NoKey) as refused:
        PrivateKey.from_env({"PIPECAT_CLOUD_PRIVATE_KEY": given})
    assert isinstance(refused.value, UsageError)
    assert "PIPECAT_CLOUD_PRIVATE_KEY" in refused.value.hint
    assert not given.strip() or given.strip() not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("given", ["", "a-private-one", "pcc_pat_secret"])
def test_what_cannot_be_a_public_key(given: str) -> None:
    with pytest.raises(NoKey) as refused:
        PublicKey.parse(given)
    assert "PIPECAT_CLOUD_PUBLIC_KEY" in refused.value.hint
    assert not given or given not in refused.value.message


def test_keys_are_never_shown() -> None:
    private, public = PrivateKey.parse("deep_secret"), PublicKey.parse("pk_deep_secret")
    assert "deep_secret" not in f"{private!r} {private} {public!r} {public}"


def test_without_a_public_key_everything_but_a_session_can_be_had() -> None:
    cloud = PipecatCloud.from_env({"PIPECAT_CLOUD_PRIVATE_KEY": "a"})
    with cloud, pytest.raises(NoKey, match="public"):
        cloud.agent("front-desk").sessions.start("webrtc")


def test_addresses_come_from_the_environment_as_the_vendors_do() -> None:
    assert Places.from_env({}) == Places()
    assert Places.from_env({"PIPECAT_API_HOST": "http://127.0.0.1:18090/"}).private == "http://127.0.0.1:18090/v1"
    assert Places.from_env({"PIPECAT_API_HOST": "api.example.org"}).api == "https://api.example.org"
    assert Places().agent("front-desk") == "https://api.pipecat.daily.co/v1/public/front-desk"
    there = "wss://eu-central.api.pipecat.daily.co/ws/telnyx?serviceHost=front-desk.acme"
    assert Places().stream("eu-central", "telnyx", "front-desk", "acme") == (there, {})
    bare = "wss://us-west.api.pipecat.daily.co/ws/twilio"
    said = {"_pipecatCloudServiceHost": "front-desk.acme"}
    assert Places().stream("us-west", "twilio", "front-desk", "acme") == (bare, said)
    assert Places("http://127.0.0.1:1").stream("us-west", "twilio", "a", "b")[0] == "ws://127.0.0.1:1/ws/twilio"
