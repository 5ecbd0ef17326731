"""Telnyx media streaming in `rtp` mode: https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from voicedeploy.call.lines.socket.carrier import CALLED, CALLER, Carrier
from voicedeploy.call.lines.socket.wire import Message


class Telnyx(Carrier):
    """PCMU without RTP headers. The bot's messages name no stream."""

    transport = "telnyx"

    def __init__(self) -> None:
        super().__init__()
        self.stream, self.user, self.session = str(uuid4()), str(uuid4()), str(uuid4())
        self.call = f"v3:{uuid4().hex}"

    def form(self) -> list[tuple[str, str]]:
        call = [("CallSid", self.call), ("CallSessionId", self.session), ("CallStatus", "ringing")]
        return [*call, ("AccountSid", self.user), ("From", CALLER), ("To", CALLED), ("Direction", "inbound")]

    def opening(self, parameters: Mapping[str, str]) -> list[Message]:
        start = {
            "user_id": self.user,
            "call_control_id": self.call,
            "call_session_id": self.session,
            "from": CALLER,
            "to": CALLED,
            "client_state": "",
            "custom_parameters": dict(parameters),
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        }
        return [json.dumps({"event": "connected", "version": "1.0.0"}), self._message("start", start=start)]

    def sound(self, payload: str, chunk: int, at_ms: int) -> Message:
        media = {"track": "inbound", "chunk": str(chunk), "timestamp": str(at_ms), "payload": payload}
        return self._message("media", media=media)

    def dtmf(self, digit: str) -> Message | None:
        return self._message("dtmf", occurred_at=datetime.now(UTC).isoformat(), dtmf={"digit": digit})

    def played(self, name: str) -> Message | None:
        return self._message("mark", mark={"name": name})

    def closing(self) -> list[Message]:
        return [self._message("stop", stop={"user_id": self.user, "call_control_id": self.call})]

    def _message(self, event: str, **body: Any) -> str:
        return json.dumps({"event": event, "sequence_number": str(self.count()), **body, "stream_id": self.stream})
