"""What carriers are told: the documents, whatever strangers call themselves."""

from xml.etree.ElementTree import Element, fromstring

import pytest

from voicedeploy.serve.phone import CARRIERS
from voicedeploy.serve.phone.carrier import Ring, Voice

SOCKET = "wss://bot.example.org/ws/0b6b3c1e-6d3c-4b53-8d52-6f1f1d1f6f10"
RING = Ring("CA1", "+14155550100", "+14155550101")
VOICE = Voice("en-GB", "Polly.Amy")
SAY = {"twilio": "Say", "telnyx": "Say", "plivo": "Speak"}


def parsed(document: bytes) -> Element:
    return fromstring(document)  # noqa: S314  (our own)


def stream(root: Element) -> Element:
    found = root.find(".//Stream")
    assert found is not None
    return found


def test_twilio_connects() -> None:
    root = parsed(CARRIERS["twilio"].connect(SOCKET, RING, Voice(), ""))
    assert [child.tag for child in root] == ["Connect"]
    assert stream(root).attrib == {"url": SOCKET}
    numbers = {item.get("name"): item.get("value") for item in stream(root)}
    assert numbers == {"from_number": "+14155550100", "to_number": "+14155550101"}


def test_telnyx_connects() -> None:
    root = parsed(CARRIERS["telnyx"].connect(SOCKET, RING, Voice(), ""))
    assert [child.tag for child in root] == ["Connect"]
    assert stream(root).attrib == {"url": SOCKET, "bidirectionalMode": "rtp"}


def test_plivo_connects() -> None:
    root = parsed(CARRIERS["plivo"].connect(SOCKET, RING, Voice(), ""))
    assert [child.tag for child in root] == ["Stream"]
    assert stream(root).text == SOCKET
    assert stream(root).attrib == {
        "bidirectional": "true",
        "keepCallAlive": "true",
        "contentType": "audio/x-mulaw;rate=8000",
    }


@pytest.mark.parametrize("name", CARRIERS)
def test_a_greeting_comes_first(name: str) -> None:
    root = parsed(CARRIERS[name].connect(SOCKET, RING, VOICE, "One moment."))
    assert (root[0].tag, root[0].text) == (SAY[name], "One moment.")
    assert root[0].attrib == {"language": "en-GB", "voice": "Polly.Amy"}
    assert len(root) == 2


@pytest.mark.parametrize("name", CARRIERS)
def test_on_hold(name: str) -> None:
    root = parsed(CARRIERS[name].hold("https://bot.example.org/phone/hold/7", VOICE, "Please hold."))
    assert [(child.tag, child.text) for child in root] == [
        (SAY[name], "Please hold."),
        ("Redirect", "https://bot.example.org/phone/hold/7"),
    ]
    assert root[1].get("method") == "POST"


@pytest.mark.parametrize("name", CARRIERS)
def test_an_apology(name: str) -> None:
    root = parsed(CARRIERS[name].refuse(Voice(), "Sorry."))
    assert [(child.tag, child.text) for child in root] == [(SAY[name], "Sorry."), ("Hangup", None)]
    assert root[0].attrib == {}
    assert [child.tag for child in parsed(CARRIERS[name].refuse(Voice(), ""))] == ["Hangup"]


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize(
    "said", ['"/><Hangup/><a b="', "<Dial>+1900</Dial>", "]]>&amp;", "a\x00b\x0b\ud800c", "x" * 9999]
)
def test_nobody_s_name_becomes_an_instruction(name: str, said: str) -> None:
    root = parsed(CARRIERS[name].connect(SOCKET, Ring("CA1", said, said), VOICE, said[:300]))
    assert {child.tag for child in root.iter()} <= {"Response", SAY[name], "Connect", "Stream", "Parameter"}
    for parameter in root.iter("Parameter"):
        assert len(parameter.get("value", "")) <= 256


@pytest.mark.parametrize(
    ("name", "form", "ring"),
    [
        ("twilio", {"CallSid": "CA1", "From": "+1", "To": "+2", "CallStatus": "ringing"}, Ring("CA1", "+1", "+2")),
        ("twilio", {"CallSid": "CA1", "CallStatus": "completed"}, Ring("CA1", "", "", over=True)),
        ("telnyx", {"CallSid": "v3:x", "From": "+1", "To": "+2"}, Ring("v3:x", "+1", "+2")),
        ("plivo", {"CallUUID": "u", "From": "1", "To": "2", "CallStatus": "in-progress"}, Ring("u", "1", "2")),
        ("plivo", {"CallUUID": "u", "Event": "Hangup", "CallStatus": "completed"}, Ring("u", "", "", over=True)),
        ("plivo", {"CallSid": "CA1"}, None),
        ("twilio", {}, None),
    ],
)
def test_the_form_of_a_call(name: str, form: dict[str, str], ring: Ring | None) -> None:
    assert CARRIERS[name].ring(list(form.items())) == ring
