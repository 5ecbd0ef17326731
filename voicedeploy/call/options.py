"""Which way the caller calls, and how patient it is."""

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class CallOptions:
    """All durations in seconds; a call ends after at most their sum, whatever the bot does."""

    transport: str = ""
    """Pipecat's key of it; empty asks the front which one it speaks."""
    webhook: bool = False
    """True begins as a phone carrier does, by the bot's webhook, and follows what its answer says."""
    relay_only: bool = False
    """Use only the TURN server that `/start` names: proves that the relay works."""
    http_timeout_s: float = 30.0
    """A cloud may start a machine before it answers `/start`."""
    connect_timeout_s: float = 10.0
    """For ICE and DTLS together; a media path that fails must be reported within 15 s."""
    greeting_timeout_s: float = 8.0
    """How long the caller waits for a greeting before it speaks first."""
    answer_timeout_s: float = 10.0
    quiet_s: float = 0.8
    """The bot's turn is over when it has been silent for so long."""
    monologue_timeout_s: float = 30.0
    """A bot that talks longer than this is spoken over."""
    hear_out: bool = True
    """False hangs up as soon as the last answer has begun: enough to know that the bot is heard."""
    greeting_suffices: bool = False
    """True hangs up as soon as a greeting is heard; a bot without one is spoken to all the same."""
    barge_in: bool = False
    """True speaks while the bot is still talking, and measures how long it goes on."""
    busy_wait_s: float = 0.0
    """How long to keep asking a front that says that all its slots are taken."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


BRIEF = CallOptions(quiet_s=0.5, hear_out=False)
"""For the call that proves that the bot is heard, and answers."""

FIRST_WORD = replace(BRIEF, greeting_suffices=True)
"""For the call that a release must pass before it gets traffic."""
