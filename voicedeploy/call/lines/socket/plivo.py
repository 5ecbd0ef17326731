"""Plivo audio streaming, bidirectional: https://plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference"""

import json
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from voicedeploy.call.lines.socket.carrier import CALLED, CALLER, Carrier, sid
from voicedeploy.call.lines.socket.wire import Message, Play


class Plivo(Carrier):
    """Says `start` first, hangs up by closing the socket, and keeps silent about marks that a clear overtook."""

    transport = "plivo"
    play: ClassVar[str] = "playAudio"
    clear: ClassVar[str] = "clearAudio"
    mark: ClassVar[str] = "checkpoint"

    def __init__(self) -> None:
        super().__init__()
        self.stream, self.call, self.account = str(uuid4()), str(uuid4()), sid("MA")
        self._headers = ""

    def form(self) -> list[tuple[str, str]]:
        call = [("CallUUID", self.call), ("CallStatus", "ringing"), ("Direction", "inbound"), ("Event", "StartApp")]
        return [*call, ("From", CALLER.lstrip("+")), ("To", CALLED.lstrip("+"))]

    def opening(self, parameters: Mapping[str, str]) -> list[Message]:
        self._headers = ";".join(f"{name}={value}" for name, value in parameters.items())
        start = {
            "callId": self.call,
            "streamId": self.stream,
            "accountId": self.account,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        }
        return [
            json.dumps(
                {"event": "start", "sequenceNumber": self.count(), "start": start, "extra_headers": self._headers}
            )
        ]

    def sound(self, payload: str, chunk: int, at_ms: int) -> Message:
        media = {"track": "inbound", "timestamp": _now_ms(), "chunk": chunk, "payload": payload}
        return self._message("media", media=media, extra_headers=self._headers)

    def dtmf(self, digit: str) -> Message | None:
        dtmf = {"track": "inbound", "digit": digit, "timestamp": _now_ms()}
        return self._message("dtmf", dtmf=dtmf, extra_headers=self._headers)

    def played(self, name: str) -> Message | None:
        return self._message("playedStream", name=name)

    def cleared(self, marks: Sequence[str]) -> list[Message]:
        return [self._message("clearedAudio")]

    def closing(self) -> list[Message]:
        return []

    def name_of(self, body: Mapping[str, Any]) -> str:
        return str(body["name"])

    def heard(self, media: Mapping[str, Any]) -> Play:
        if "l16" in str(media.get("contentType", "")).lower():
            return Play(
                np.frombuffer(b64decode(media["payload"], validate=True), "<i2"),
                int(media.get("sampleRate", self.rate)),
            )
        return super().heard(media)

    def _message(self, event: str, **body: Any) -> str:
        return json.dumps({"event": event, "sequenceNumber": self.count(), "streamId": self.stream, **body})


def _now_ms() -> str:
    return str(round(time.time() * 1000))
