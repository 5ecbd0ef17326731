"""What each provider reads of a spec whose bots are on another platform than their front."""

import tomllib
from pathlib import Path

import pytest

from voicedeploy import front, transports
from voicedeploy.errors import UsageError
from voicedeploy.spec import Spec, load
from voicedeploy.upstream import seen_from

ELSEWHERE = '[upstream]\nprovider = "pipecat-cloud"\n'
NAMED = '[provider.pipecat-cloud]\nregion = "eu-central"\norganization = "acme"\n'
SEAT = front.Seat("p", "py", "secrets.json", "key", "s.sock", "127.0.0.1", 7860, "")


def spec(folder: Path, text: str, transport: str = "webrtc") -> Spec:
    file = folder / "voicedeploy.toml"
    file.write_text(f'[bot]\nname = "desk"\nsecrets = ["LLM"]\n[transport]\nkind = "{transport}"\n{text}')
    return load(file)


@pytest.fixture(autouse=True)
def nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPECAT_API_HOST", raising=False)


def test_the_front_is_told_where_its_bots_are(tmp_path: Path) -> None:
    seen = seen_from(spec(tmp_path, ELSEWHERE), "vm")
    assert seen.upstream.url == "https://api.pipecat.daily.co/v1/public/desk"
    assert (seen.upstream.key, seen.upstream.line) == ("PIPECAT_CLOUD_PUBLIC_KEY", "")
    assert seen.file == tmp_path / "voicedeploy.toml"
    assert not seen.receives_media
    assert transports.secrets(seen) == ("PIPECAT_CLOUD_PUBLIC_KEY",)
    written = tomllib.loads(front.config(seen, "r1", SEAT))["upstream"]
    assert written == {
        "name": "pipecat-cloud", "url": seen.upstream.url, "key": seen.upstream.key, "line": "", "parameters": {},
    }  # fmt: skip


def test_where_the_bots_are_there_is_no_elsewhere(tmp_path: Path) -> None:
    seen = seen_from(spec(tmp_path, ELSEWHERE), "pipecat-cloud")
    assert not seen.upstream and seen.receives_media
    assert transports.secrets(seen) == ("LLM",)
    assert "upstream" not in tomllib.loads(front.config(seen, "r1", SEAT))


def test_carriers_are_led_by_the_words_of_the_provider(tmp_path: Path) -> None:
    seen = seen_from(spec(tmp_path, ELSEWHERE + NAMED, "twilio"), "vm").upstream
    assert seen.line == "wss://eu-central.api.pipecat.daily.co/ws/twilio"
    assert seen.parameters == {"_pipecatCloudServiceHost": "desk.acme"}
    other = seen_from(spec(tmp_path, ELSEWHERE + NAMED, "telnyx"), "vm")
    assert other.upstream.line.endswith("/ws/telnyx?serviceHost=desk.acme")
    assert "TELNYX_API_KEY" not in transports.secrets(seen_from(spec(tmp_path, ELSEWHERE), "vm"))
    written = tomllib.loads(front.config(seen_from(spec(tmp_path, ELSEWHERE + NAMED, "twilio"), "vm"), "r1", SEAT))
    assert written["upstream"]["parameters"] == seen.parameters
    with pytest.raises(UsageError, match="region and organization") as error:
        seen_from(spec(tmp_path, ELSEWHERE, "plivo"), "vm")
    assert '[provider.pipecat-cloud] organization = "…"' in error.value.hint


def test_what_is_written_counts_before_what_is_told(tmp_path: Path) -> None:
    seen = seen_from(spec(tmp_path, ELSEWHERE + 'key = "OURS"\n'), "vm").upstream
    assert (seen.key, seen.url) == ("OURS", "https://api.pipecat.daily.co/v1/public/desk")
    bare = spec(tmp_path, '[upstream]\nurl = "https://bots.example.org/"\nkey = "OURS"\n')
    assert seen_from(bare, "vm") is bare
    assert bare.upstream.url == "https://bots.example.org"


def test_a_provider_that_takes_no_calls_of_others(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vm takes no calls of a front elsewhere"):
        seen_from(spec(tmp_path, '[upstream]\nprovider = "vm"\n'), "local")
    with pytest.raises(UsageError, match="there is no provider 'pipecat-clout'"):
        seen_from(spec(tmp_path, '[upstream]\nprovider = "pipecat-clout"\n'), "local")
