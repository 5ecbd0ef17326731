"""What callers put up with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """Milliseconds: good, and the most that holds."""

    good: float
    most: float
    text: str


WEB = Goal(2000.0, 3000.0, "2 to 3 s that web callers wait")
PHONE = Goal(3000.0, 5000.0, "3 to 5 s that callers on the phone wait")
SAME_MACHINE = Goal(500.0, 500.0, "500 ms on one machine")
ELSEWHERE = Goal(800.0, 1000.0, "800 to 1000 ms across a network")
PHONES = ("twilio", "telnyx", "plivo", "exotel")


def first_word(transport: str) -> Goal:
    return PHONE if transport in PHONES else WEB


def voice_to_voice(*, same_machine: bool) -> Goal:
    return SAME_MACHINE if same_machine else ELSEWHERE
