"""What travels over a media socket: the messages of one protocol, and what the bot's mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from voicedeploy.call.audio import Samples

Message = str | bytes


@dataclass(frozen=True)
class Play:
    samples: Samples
    rate: int


@dataclass(frozen=True)
class Clear:
    """Nothing of what waits is to be heard any more."""


@dataclass(frozen=True)
class Mark:
    """The bot wants to know when all before it has been played."""

    name: str


@dataclass(frozen=True)
class Note:
    """An RTVI message, as JSON."""

    text: str


Order = Play | Clear | Mark | Note


class Wire(Protocol):
    """One call's end of a protocol. It counts what it says, so it says each thing once and in order."""

    transport: str
    """Pipecat's key of it."""
    rate: int
    """Of the caller's sound, in samples a second."""
    frame_s: float
    """How much of it one message holds."""
    path: str
    """Where a server listens that has no `/start` to say so."""

    def form(self) -> list[tuple[str, str]]:
        """What a carrier tells the bot's webhook about this call; empty where there are none."""
        ...

    def opening(self, parameters: Mapping[str, str]) -> list[Message]:
        """Sent before any sound. `parameters`: what the bot's webhook wants to be passed on."""
        ...

    def media(self, samples: Samples) -> Message: ...

    def dtmf(self, digit: str) -> Message | None:
        """A key of the telephone; None where there are none."""
        ...

    def played(self, name: str) -> Message | None:
        """All before this mark has been heard."""
        ...

    def cleared(self, marks: Sequence[str]) -> list[Message]:
        """The answer to a `Clear` before which these marks were waiting."""
        ...

    def closing(self) -> list[Message]:
        """The caller hangs up."""
        ...

    def orders(self, message: Message) -> list[Order]:
        """What the bot wants. Nothing for messages that the protocol does not know: carriers pass over them too."""
        ...
