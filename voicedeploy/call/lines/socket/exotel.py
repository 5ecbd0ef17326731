"""Exotel's Voicebot applet: https://developer.exotel.com/docs/agentstream/websocket-protocol"""

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import numpy as np

from voicedeploy.call.audio import Samples
from voicedeploy.call.lines.socket.carrier import CALLED, CALLER, Carrier, sid
from voicedeploy.call.lines.socket.wire import Message, Play


class Exotel(Carrier):
    """16-bit samples instead of µ-law, in messages of 100 ms."""

    transport = "exotel"
    frame_s: float = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.stream, self.call, self.account = sid("MZ"), sid("CA"), sid("AC")

    def form(self) -> list[tuple[str, str]]:
        return []

    def opening(self, parameters: Mapping[str, str]) -> list[Message]:
        start = {
            "stream_sid": self.stream,
            "call_sid": self.call,
            "account_sid": self.account,
            "from": CALLER,
            "to": CALLED,
            "custom_parameters": dict(parameters),
            "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"},
        }
        return [json.dumps({"event": "connected"}), self._message("start", start=start)]

    def sound(self, payload: str, chunk: int, at_ms: int) -> Message:
        return self._message("media", media={"chunk": str(chunk), "timestamp": str(at_ms), "payload": payload})

    def dtmf(self, digit: str) -> Message | None:
        return self._message("dtmf", dtmf={"digit": digit, "duration": "100"})

    def played(self, name: str) -> Message | None:
        return self._message("mark", mark={"name": name})

    def closing(self) -> list[Message]:
        stop = {"call_sid": self.call, "account_sid": self.account, "reason": "callended"}
        return [self._message("stop", stop=stop)]

    def encode(self, samples: Samples) -> bytes:
        return samples.astype("<i2").tobytes()

    def heard(self, media: Mapping[str, Any]) -> Play:
        return Play(np.frombuffer(b64decode(media["payload"], validate=True), "<i2"), self.rate)

    def _message(self, event: str, **body: Any) -> str:
        return json.dumps({"event": event, "sequence_number": str(self.count()), "stream_sid": self.stream, **body})
