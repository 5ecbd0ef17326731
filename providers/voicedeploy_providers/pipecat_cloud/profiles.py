"""Sizes of agents; docs.pipecat.ai, Pipecat Cloud, 2026-08."""

from dataclasses import dataclass

from voicedeploy.spec import Session


@dataclass(frozen=True)
class Profile:
    name: str
    cpu: float
    memory: int

    def carries(self, session: Session) -> bool:
        return self.cpu >= session.cpu and self.memory >= session.memory


PROFILES = {
    p.name: p
    for p in (Profile("agent-1x", 0.5, 2**30), Profile("agent-2x", 1.0, 2 * 2**30), Profile("agent-3x", 1.5, 3 * 2**30))
}
MOST_AGENTS = 50
"""Of one name, unless the vendor raises it."""
SESSION_S = (60, 14400)
"""The shortest and the longest `maxSessionDuration`."""
MINUTES_A_DAY = 1440
"""Reserved by each agent that is kept ready, whether anybody calls or not."""


def fitting(session: Session) -> Profile | None:
    """The smallest; an agent has one session at a time."""
    return next((profile for profile in PROFILES.values() if profile.carries(session)), None)
