"""What a carrier does with the answer of a webhook."""

import pytest

from voicedeploy.call.lines.socket.document import Told, told
from voicedeploy.serve.phone import CARRIERS
from voicedeploy.serve.phone.carrier import Ring, Voice

RING = Ring("CA1", "+15555550100", "+15555550199")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_our_own_documents_are_followed(carrier: str) -> None:
    made = CARRIERS[carrier]
    what = told(made.connect("wss://bot.example.org/ws/s1", RING, Voice(), "One moment."))
    assert what.socket == "wss://bot.example.org/ws/s1" and what.said == ("One moment.",)
    assert what.seconds == pytest.approx(11 / 14)
    numbers = {"from_number": RING.from_number, "to_number": RING.to_number}
    assert what.parameters == (numbers if carrier == "twilio" else {})
    held = told(made.hold("https://bot.example.org/phone/hold/1", Voice("en-GB"), "Please hold."))
    assert (held.again, held.said, held.socket) == ("https://bot.example.org/phone/hold/1", ("Please hold.",), "")
    assert told(made.refuse(Voice(), "Sorry.")) == Told(("Sorry.",), 6 / 14)


def test_pipecats_own_answers_are_followed() -> None:
    stream = b'<Connect><Stream url="wss://h/ws"></Stream></Connect><Pause length="40"/>'
    twilio = b'<?xml version="1.0" encoding="UTF-8"?>\n<Response>' + stream + b"</Response>"
    assert told(twilio) == Told(socket="wss://h/ws")
    plivo = b'<Response><Stream bidirectional="true" extraHeaders="a=1,b=2">wss://h/ws</Stream></Response>'
    assert told(plivo) == Told(socket="wss://h/ws", parameters={"a": "1", "b": "2"})


def test_pauses_pass_in_order() -> None:
    xml = (
        b"<Response><Pause length='3'/><Wait length='2'/><Pause/><Redirect>/again</Redirect><Say>never</Say></Response>"
    )
    assert told(xml) == Told(seconds=6, again="/again")


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (b"not found", "syntax error"),
        (b"<html/>", "begins with <html>"),
        (b"<Response><Start><Stream url='wss://h'/></Start></Response>", "one-way"),
        (b"<Response><Connect/></Response>", "without a <Stream>"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><Response>&a;</Response>", "no document"),
    ],
)
def test_what_no_carrier_would_follow(xml: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        told(xml)


def test_the_end_of_a_document_is_the_end_of_the_call() -> None:
    assert told(b"<Response/>") == Told()
