"""What the bot says about itself over the data channel, in Pipecat's RTVI messages: all of it optional."""

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

PROTOCOL = "1.0.0"
"""Bots of Pipecat 1.x and older understand version 1; newer ones still serve it."""


def client_ready() -> str:
    """Many bots greet only after they got this."""
    about = {"library": "voicedeploy"}
    return json.dumps(
        {
            "label": "rtvi-ai",
            "type": "client-ready",
            "id": uuid.uuid4().hex[:8],
            "data": {"version": PROTOCOL, "about": about},
        }
    )


def ping() -> str:
    """Without one every 3 s a Pipecat bot that has seen one takes the caller for gone."""
    return f"ping: {int(time.time() * 1000)}"


@dataclass(frozen=True)
class Line:
    at: float
    """Monotonic seconds."""
    text: str


@dataclass
class Transcript:
    """Collects messages in order of arrival."""

    errors: list[str] = field(default_factory=list)
    ready: bool = False
    speaking: bool = False
    """The bot's own word, False before it gave any."""
    _transcriptions: list[Line] = field(default_factory=list)
    _inputs: list[Line] = field(default_factory=list)
    _outputs: dict[str, Line] = field(default_factory=dict)
    _sentences: list[Line] = field(default_factory=list)

    def take(self, message: str | bytes) -> None:
        """Anything that is not an RTVI message is passed over: bots may send what they like."""
        now = time.monotonic()
        try:
            body: Any = json.loads(message)
        except ValueError:
            return
        if not isinstance(body, dict) or body.get("label") != "rtvi-ai":
            return
        data = body.get("data")
        data = data if isinstance(data, dict) else {}
        text = str(data.get("text") or "").strip()
        match body.get("type"):
            case "bot-ready":
                self.ready = True
            case "bot-started-speaking":
                self.speaking = True
            case "bot-stopped-speaking":
                self.speaking = False
            case "user-transcription" if text and data.get("final"):
                self._transcriptions.append(Line(now, text))
            case "user-input" if text:
                self._inputs.append(Line(now, text))
            case "bot-transcription" if text:
                self._sentences.append(Line(now, text))
            case "bot-output" if text and data.get("aggregated_by") not in ("word", "token"):
                # One sentence may be reported before and again after it was spoken.
                segment = data.get("segment_id")
                self._outputs.setdefault(str(text if segment is None else segment), Line(now, text))
            case "error" | "error-response":
                self.errors.append(str(data.get("error") or data.get("message") or "unnamed error"))

    def heard_between(self, start: float, end: float) -> str | None:
        """Newer bots report the user's words as inputs only."""
        return _joined(self._transcriptions, start, end) or _joined(self._inputs, start, end)

    def said_between(self, start: float, end: float) -> str | None:
        """What went to speech; for a bot that does not report that, what its language model wrote."""
        return _joined(self._outputs.values(), start, end) or _joined(self._sentences, start, end)


def _joined(lines: Iterable[Line], start: float, end: float) -> str | None:
    return " ".join(line.text for line in lines if start <= line.at < end) or None
