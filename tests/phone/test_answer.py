"""Answer documents that do not work, each with a code of its own and the corrected document."""

import pytest

from voicedeploy.phone.answer import examine, socket
from voicedeploy.serve.phone import CARRIERS
from voicedeploy.serve.phone.carrier import Ring, Voice

HOST = "bot.example.org"
RIGHT = f"<Response><Connect><Stream url='wss://{HOST}/ws/1'/></Connect></Response>"
TELNYX = RIGHT.replace("'/>", "' bidirectionalMode='rtp'/>")
PLIVO = (
    "<Response><Stream bidirectional='true' keepCallAlive='true' contentType='audio/x-mulaw;rate=8000'>"
    f"wss://{HOST}/ws/1</Stream></Response>"
)


def codes(kind: str, text: str) -> list[str]:
    return [finding.code for finding in examine(kind, text.encode())]


@pytest.mark.parametrize(("kind", "text"), [("twilio", RIGHT), ("telnyx", TELNYX), ("plivo", PLIVO)])
def test_right(kind: str, text: str) -> None:
    assert codes(kind, text) == []
    assert socket(text.encode()) == f"wss://{HOST}/ws/1"


@pytest.mark.parametrize("kind", CARRIERS)
def test_our_own(kind: str) -> None:
    text = CARRIERS[kind].connect(f"wss://{HOST}/ws/1", Ring("c", "+1", "+2"), Voice("en-US"), "One moment.")
    assert examine(kind, text) == []


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        ("twilio", RIGHT.replace("Connect", "Start"), "VD170"),
        ("telnyx", TELNYX.replace("Connect", "Start"), "VD170"),
        ("twilio", RIGHT.replace("wss:", "ws:"), "VD171"),
        ("plivo", PLIVO.replace("wss:", "https:"), "VD171"),
        ("twilio", RIGHT.replace("/ws/1", "/ws?token=s3cret"), "VD172"),
        ("plivo", PLIVO.replace("/ws/1", "/ws?token=s3cret"), "VD172"),
        ("twilio", RIGHT.replace(HOST, "4.tcp.ngrok.io:17001"), "VD173"),
        ("twilio", RIGHT.replace(HOST, "localhost:7860"), "VD173"),
        ("twilio", RIGHT.replace(HOST, "192.168.1.10"), "VD173"),
        ("twilio", RIGHT.replace(HOST, "100.101.2.3"), "VD173"),
        ("twilio", RIGHT.replace(HOST, "[::1]:7860"), "VD173"),
        ("twilio", RIGHT.replace(HOST, "homelab.local"), "VD173"),
        ("telnyx", RIGHT, "VD179"),
        ("telnyx", TELNYX.replace("rtp", "mp3"), "VD179"),
        ("plivo", PLIVO.replace("bidirectional='true'", ""), "VD179"),
        ("plivo", PLIVO.replace("rate=8000", "rate=16000"), "VD179"),
    ],
)
def test_each_fault_has_its_code_and_its_correction(kind: str, text: str, code: str) -> None:
    found = examine(kind, text.encode())
    assert [finding.code for finding in found] == [code]
    assert "s3cret" not in found[0].message
    if code != "VD173":
        assert codes(kind, found[0].fix) == []


def test_several_faults_are_several_codes() -> None:
    text = "<Response><Start><Stream url='ws://4.tcp.ngrok.io/ws?token=1'/></Start></Response>"
    assert codes("twilio", text) == ["VD170", "VD171", "VD172", "VD173"]


def test_what_stood_in_the_query_becomes_a_parameter() -> None:
    text = RIGHT.replace("'/>", "?room=7'><Parameter name='lang' value='en'/></Stream>")
    fix = examine("twilio", text.encode())[0].fix
    assert '<Parameter name="lang" value="en" />' in fix
    assert '<Parameter name="room" value="7" />' in fix
    assert "?" not in fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "no XML"),
        ("", "no XML"),
        ("<Response><Say>hi</Say></Response>", "<Say>"),
        ("<Response/>", "nothing"),
        ("<Response><Say>Please hold.</Say><Redirect>https://x/</Redirect></Response>", "no slot is free"),
        ("<Response><Say>Sorry.</Say><Hangup/></Response>", "hang up"),
        ("<!DOCTYPE r [<!ENTITY a 'aaaa'>]><Response>&a;</Response>", "no XML"),
    ],
)
def test_no_stream(text: str, said: str) -> None:
    found = examine("twilio", text.encode())
    assert [finding.code for finding in found] == ["VD176"]
    assert said in found[0].message
    assert socket(text.encode()) == ""
