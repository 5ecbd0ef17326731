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

    def __init__(self, parameters: Mapping[str, str] | None = None, *, call_control_id: str = "") -> None:
        super().__init__(parameters)
        self.stream, self.user, self.session = str(uuid4()), str(uuid4()), str(uuid4())
        self.call = call_control_id or f"v3:{uuid4().hex}"

    def opening(self) -> list[Message]:
        start = {
            "user_id": self.user,
            "call_control_id": self.call,
            "call_session_id": self.session,
            "from": CALLER,
            "to": CALLED,
            "client_state": "",
            "custom_parameters": self.parameters,
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
