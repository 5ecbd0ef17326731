"""Twilio Media Streams, bidirectional: https://www.twilio.com/docs/voice/media-streams/websocket-messages"""

import json
from collections.abc import Mapping
from typing import Any

from voicedeploy.call.lines.socket.carrier import CALLED, CALLER, Carrier, sid
from voicedeploy.call.lines.socket.wire import Message


class Twilio(Carrier):
    """All numbers but those of the format are text. A clear sends waiting marks back."""

    transport = "twilio"

    def __init__(self) -> None:
        super().__init__()
        self.stream, self.call, self.account = sid("MZ"), sid("CA"), sid("AC")

    def form(self) -> list[tuple[str, str]]:
        numbers = [("From", CALLER), ("To", CALLED), ("Caller", CALLER), ("Called", CALLED)]
        call = [("CallSid", self.call), ("CallStatus", "ringing"), ("Direction", "inbound")]
        return [("AccountSid", self.account), ("ApiVersion", "2010-04-01"), *call, *numbers]

    def opening(self, parameters: Mapping[str, str]) -> list[Message]:
        start = {
            "accountSid": self.account,
            "streamSid": self.stream,
            "callSid": self.call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(parameters),
        }
        return [
            json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            self._message("start", start=start),
        ]

    def sound(self, payload: str, chunk: int, at_ms: int) -> Message:
        media = {"track": "inbound", "chunk": str(chunk), "timestamp": str(at_ms), "payload": payload}
        return self._message("media", media=media)

    def dtmf(self, digit: str) -> Message | None:
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def played(self, name: str) -> Message | None:
        return self._message("mark", mark={"name": name})

    def closing(self) -> list[Message]:
        return [self._message("stop", stop={"accountSid": self.account, "callSid": self.call})]

    def _message(self, event: str, **body: Any) -> str:
        return json.dumps({"event": event, "sequenceNumber": str(self.count()), **body, "streamSid": self.stream})
