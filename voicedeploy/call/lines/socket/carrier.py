"""What the media streams of all phone carriers have in common: JSON, counted, with 8 kHz sound in base64."""

import binascii
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from voicedeploy.call.audio import Samples
from voicedeploy.call.lines.socket import ulaw
from voicedeploy.call.lines.socket.wire import Clear, Mark, Message, Order, Play

CALLER, CALLED = "+15555550100", "+15555550199"
"""Numbers that are kept free for stories."""


def sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


class Carrier:
    """A carrier says what it calls the bot's three orders, and writes its own messages."""

    transport: str
    rate: int = 8000
    frame_s: float = 0.02
    path: str = "/ws"
    play: ClassVar[str] = "media"
    clear: ClassVar[str] = "clear"
    mark: ClassVar[str] = "mark"

    def __init__(self) -> None:
        self._said = 0
        self._frames = 0

    def media(self, samples: Samples) -> Message:
        self._frames += 1
        at_ms = round((self._frames - 1) * self.frame_s * 1000)
        return self.sound(b64encode(self.encode(samples)).decode(), self._frames, at_ms)

    def cleared(self, marks: Sequence[str]) -> list[Message]:
        """Marks come back at once: what stood before them will not be played."""
        return [answer for name in marks if (answer := self.played(name)) is not None]

    def orders(self, message: Message) -> list[Order]:
        try:
            body: Any = json.loads(message)
            event = body.get("event")
            if event == self.play:
                return [self.heard(body["media"])]
            if event == self.clear:
                return [Clear()]
            if event == self.mark:
                return [Mark(self.name_of(body))]
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            return []
        return []

    # ---------------------------------------------------------------- what differs

    def sound(self, payload: str, chunk: int, at_ms: int) -> Message:
        """One frame of the caller. `chunk` counts from 1, `at_ms` from the beginning of the stream."""
        raise NotImplementedError

    def played(self, name: str) -> Message | None:
        raise NotImplementedError

    def name_of(self, body: Mapping[str, Any]) -> str:
        return str(body["mark"]["name"])

    def encode(self, samples: Samples) -> bytes:
        return ulaw.encode(samples)

    def heard(self, media: Mapping[str, Any]) -> Play:
        return Play(ulaw.decode(b64decode(media["payload"], validate=True)), self.rate)

    # ---------------------------------------------------------------- for their use

    def count(self) -> int:
        """The number of the next message; the first is 1."""
        self._said += 1
        return self._said
