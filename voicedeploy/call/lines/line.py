"""What a conversation needs of the way to the bot, whatever that way is."""

from dataclasses import dataclass
from typing import Protocol

from voicedeploy.call.audio import Speech
from voicedeploy.call.ear import Ear
from voicedeploy.call.rtvi import Transcript
from voicedeploy.call.run import CandidatePair, Failure
from voicedeploy.call.script import Script
from voicedeploy.call.signalling import Signalling, Started

ASK_AGAIN_S = 0.5


@dataclass
class Moments:
    """Monotonic seconds at which the layers of a line came up; None: not yet. One without a layer of its own for a
    phase gives it the moment of the one before: it takes no time, and the phases still add up.

    gathered: the caller knows its own addresses. answered: the bot's end has taken the call (an SDP answer, the
    answer to a WebSocket handshake). ice: a path for media stands. dtls: from here on sound can flow.
    """

    gathered: float | None = None
    answered: float | None = None
    ice: float | None = None
    dtls: float | None = None


@dataclass
class Said:
    """Monotonic seconds at which the first and the last audible frame of a speech left; None: not yet."""

    began: float | None = None
    ended: float | None = None


class Line(Protocol):
    """Made before the clock runs, so that no figure contains the making of codecs."""

    ear: Ear
    transcript: Transcript
    moments: Moments

    def rehearse(self, script: Script) -> None:
        """Prepares what will be said, so that speaking costs no work."""
        ...

    async def start(self, signalling: Signalling) -> Started:
        """Asks for the call. Raises CallFailed; `retry_after_s` is set when to ask again later may help."""
        ...

    async def connect(self, started: Started, signalling: Signalling) -> None:
        """From the answer of `/start` until sound can flow. Raises CallFailed with the layer that did not come up."""
        ...

    def say(self, speech: Speech) -> Said:
        """Speaks at the next frame; between speeches a line sends silence."""
        ...

    @property
    def ended(self) -> bool:
        """The bot hung up, or the connection was lost."""
        ...

    def broken(self) -> Failure | None:
        """What the bot's end said when it broke the call off; None for a call that goes on or that it hung up."""
        ...

    def lateness(self) -> list[float]:
        """Seconds by which frames of the caller left too late, one each."""
        ...

    def ahead_ms(self) -> float | None:
        """The most of the bot's sound that had come and was waiting to be played; None where nothing waits."""
        ...

    def pair(self) -> CandidatePair | None: ...

    def round_trips(self) -> list[float]:
        """Seconds that the way to the bot and back took, asked anew every half second of the call."""
        ...

    def on_same_machine(self) -> bool: ...

    async def close(self) -> None: ...
