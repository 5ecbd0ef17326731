"""What each protocol says, word for word as its public documentation has it."""

import json
from base64 import b64decode, b64encode
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
from pipecat.frames.protobufs import frames_pb2

from voicedeploy.call.lines.socket import ulaw
from voicedeploy.call.lines.socket.carrier import CALLED, CALLER
from voicedeploy.call.lines.socket.exotel import Exotel
from voicedeploy.call.lines.socket.plain import Plain
from voicedeploy.call.lines.socket.plivo import Plivo
from voicedeploy.call.lines.socket.telnyx import Telnyx
from voicedeploy.call.lines.socket.twilio import Twilio
from voicedeploy.call.lines.socket.wire import Clear, Mark, Message, Note, Play, Wire

pipecat: Any = frames_pb2
SOUND = (8000 * np.sin(2 * np.pi * 500 * np.arange(160) / 8000)).astype(np.int16)


def read(message: Message | None) -> Any:
    assert message is not None
    return json.loads(message)


def played(wire: Wire, body: object) -> Play:
    (order,) = wire.orders(json.dumps(body))
    assert isinstance(order, Play)
    return order


def test_twilio() -> None:
    wire = Twilio()
    connected, start = map(read, wire.opening({"from_number": "+15555550100"}))
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    stream, call, account = start["streamSid"], start["start"]["callSid"], start["start"]["accountSid"]
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": account,
            "streamSid": stream,
            "callSid": call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"from_number": "+15555550100"},
        },
        "streamSid": stream,
    }
    assert (stream[:2], call[:2], account[:2]) == ("MZ", "CA", "AC") and len(stream) == len(call) == 34
    wire.media(SOUND)
    media = read(wire.media(SOUND))
    assert media == {
        "event": "media",
        "sequenceNumber": "3",
        "media": {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": ANY},
        "streamSid": stream,
    }
    assert len(b64decode(media["media"]["payload"])) == 160
    assert read(wire.dtmf("5")) == {
        "event": "dtmf",
        "sequenceNumber": "4",
        "dtmf": {"track": "inbound_track", "digit": "5"},
        "streamSid": stream,
    }
    assert read(wire.played("greeting")) == {
        "event": "mark",
        "sequenceNumber": "5",
        "mark": {"name": "greeting"},
        "streamSid": stream,
    }
    assert [read(one)["mark"]["name"] for one in wire.cleared(["a", "b"])] == ["a", "b"]
    (stop,) = wire.closing()
    assert read(stop) == {
        "event": "stop",
        "sequenceNumber": "8",
        "stop": {"accountSid": account, "callSid": call},
        "streamSid": stream,
    }


def test_what_a_bot_says_to_twilio() -> None:
    wire = Twilio()
    payload = b64encode(ulaw.encode(SOUND)).decode()
    heard = played(wire, {"event": "media", "streamSid": wire.stream, "media": {"payload": payload}})
    assert heard.rate == 8000 and np.abs(heard.samples - SOUND.astype(int)).max() < 300
    assert wire.orders(json.dumps({"event": "clear", "streamSid": wire.stream})) == [Clear()]
    assert wire.orders(json.dumps({"event": "mark", "mark": {"name": "m"}})) == [Mark("m")]


def test_telnyx() -> None:
    wire = Telnyx()
    connected, start = map(read, wire.opening({}))
    assert connected == {"event": "connected", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequence_number": "1",
        "start": {
            "user_id": ANY,
            "call_control_id": wire.call,
            "call_session_id": ANY,
            "from": CALLER,
            "to": CALLED,
            "client_state": "",
            "custom_parameters": {},
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        },
        "stream_id": wire.stream,
    }
    assert read(wire.media(SOUND)) == {
        "event": "media",
        "sequence_number": "2",
        "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": ANY},
        "stream_id": wire.stream,
    }
    assert read(wire.dtmf("#")) == {
        "event": "dtmf",
        "sequence_number": "3",
        "occurred_at": ANY,
        "dtmf": {"digit": "#"},
        "stream_id": wire.stream,
    }
    assert read(wire.played("m"))["mark"] == {"name": "m"}
    (stop,) = wire.closing()
    assert read(stop)["stop"] == {"user_id": wire.user, "call_control_id": wire.call}
    assert wire.orders('{"event": "clear"}') == [Clear()]


def test_plivo() -> None:
    wire = Plivo()
    (start,) = map(read, wire.opening({"userId": "12345", "room": "a"}))
    assert start == {
        "event": "start",
        "sequenceNumber": 1,
        "start": {
            "callId": wire.call,
            "streamId": wire.stream,
            "accountId": wire.account,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        },
        "extra_headers": "userId=12345;room=a",
    }
    media = read(wire.media(SOUND))
    assert (media["event"], media["sequenceNumber"], media["streamId"]) == ("media", 2, wire.stream)
    assert (media["media"]["track"], media["media"]["chunk"]) == ("inbound", 1)
    assert media["media"]["timestamp"].isdigit()
    assert read(wire.dtmf("1"))["dtmf"] == {"track": "inbound", "digit": "1", "timestamp": ANY}
    assert read(wire.played("cp")) == {
        "event": "playedStream",
        "sequenceNumber": 4,
        "streamId": wire.stream,
        "name": "cp",
    }
    # A checkpoint that a clear overtook was not played, and Plivo does not say that it was.
    assert list(map(read, wire.cleared(["cp"]))) == [
        {"event": "clearedAudio", "sequenceNumber": 5, "streamId": wire.stream}
    ]
    assert wire.closing() == []
    assert wire.orders(json.dumps({"event": "clearAudio", "streamId": wire.stream})) == [Clear()]
    assert wire.orders(json.dumps({"event": "checkpoint", "streamId": "s", "name": "cp"})) == [Mark("cp")]


@pytest.mark.parametrize(
    ("content_type", "rate", "data"),
    [("audio/x-mulaw", 8000, ulaw.encode(SOUND)), ("audio/x-l16", 16000, SOUND.astype("<i2").tobytes())],
)
def test_plivo_plays_both_of_its_formats(content_type: str, rate: int, data: bytes) -> None:
    media = {"contentType": content_type, "sampleRate": rate, "payload": b64encode(data).decode()}
    heard = played(Plivo(), {"event": "playAudio", "media": media})
    assert heard.rate == rate and heard.samples.size == 160


def test_exotel() -> None:
    wire = Exotel()
    connected, start = map(read, wire.opening({}))
    assert connected == {"event": "connected"}
    assert start["start"] == {
        "stream_sid": wire.stream,
        "call_sid": wire.call,
        "account_sid": wire.account,
        "from": CALLER,
        "to": CALLED,
        "custom_parameters": {},
        "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"},
    }
    assert (start["event"], start["sequence_number"], start["stream_sid"]) == ("start", "1", wire.stream)
    wire.media(np.tile(SOUND, 5))
    media = read(wire.media(np.tile(SOUND, 5)))
    assert media["media"] == {"chunk": "2", "timestamp": "100", "payload": ANY}
    assert len(b64decode(media["media"]["payload"])) == 1600
    assert read(wire.dtmf("9"))["dtmf"] == {"digit": "9", "duration": "100"}
    payload = b64encode(SOUND.astype("<i2").tobytes()).decode()
    heard = played(wire, {"event": "media", "stream_sid": wire.stream, "media": {"payload": payload}})
    assert np.array_equal(heard.samples, SOUND)
    assert read(wire.closing()[0])["stop"]["reason"] == "callended"


@pytest.mark.parametrize("wire", [Twilio(), Telnyx(), Plivo(), Exotel()])
@pytest.mark.parametrize(
    "message",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"event":"media"}',
        '{"event":"media","media":{"payload":"!"}}',
        '{"event":"mark"}',
        b"\0",
    ],
)
def test_what_is_not_understood_is_passed_over(wire: Wire, message: Message) -> None:
    assert wire.orders(message) == []


def test_plain_frames_are_pipecats_own() -> None:
    wire = Plain()
    frame = pipecat.Frame.FromString(wire.media(np.tile(SOUND, 2)))
    assert frame.WhichOneof("frame") == "audio"
    assert (frame.audio.sample_rate, frame.audio.num_channels) == (16_000, 1)
    assert frame.audio.audio == np.tile(SOUND, 2).tobytes()
    (ready,) = wire.opening({})
    assert json.loads(pipecat.Frame.FromString(ready).message.data)["type"] == "client-ready"


def test_pipecats_frames_are_understood() -> None:
    wire = Plain()
    stereo = np.repeat(SOUND, 2).tobytes()
    audio = pipecat.AudioRawFrame(id=7, name="x", audio=stereo, sample_rate=24_000, num_channels=2, pts=5)
    (heard,) = wire.orders(pipecat.Frame(audio=audio).SerializeToString())
    assert isinstance(heard, Play) and heard.rate == 24_000 and np.array_equal(heard.samples, SOUND)
    note = pipecat.Frame(message=pipecat.MessageFrame(data='{"label":"rtvi-ai"}')).SerializeToString()
    assert wire.orders(note) == [Note('{"label":"rtvi-ai"}')]
    assert wire.orders(pipecat.Frame(interruption=pipecat.InterruptionFrame(id=1)).SerializeToString()) == [Clear()]
    assert wire.orders(pipecat.Frame(text=pipecat.TextFrame(text="hi")).SerializeToString()) == []
    for damaged in (b"\xff", b"\x12\x10abc", b"\x13", note[:-3], "text"):
        assert wire.orders(damaged) == []


def test_mu_law_is_g711() -> None:
    codes = bytes(range(256))
    again = ulaw.encode(ulaw.decode(codes))
    assert again == codes.replace(b"\x7f", b"\xff")  # minus zero and zero are one number
    assert ulaw.decode(b"\x00\x80\xff\xf0").tolist() == [-32124, 32124, 0, 120]
    assert ulaw.encode(np.array([0, -1, 32767, -32768, 1000], np.int16)) == b"\xff\x7f\x80\x00\xce"
    every = np.arange(-32768, 32768, dtype=np.int16)
    error = np.abs(ulaw.decode(ulaw.encode(every)).astype(int) - every)
    assert (error <= np.maximum(np.abs(every.astype(int)) / 16, 8) + 1).mean() > 0.97
    assert ulaw.decode(ulaw.SILENCE).tolist() == [0]
