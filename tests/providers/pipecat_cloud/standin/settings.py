"""How the stand-in behaves. What nobody outside of the platform knows is set to what is worse for us."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Settings:
    """Seconds are of the stand-in's clock."""

    secrets_s: float = 3.0
    """A set is `pending` for so long after each change."""
    pending_s: float = 1.0
    building_s: float = 5.0
    creating_s: float = 2.0
    """From a change until the platform has seen it."""
    ready_most_s: float = 20.0
    """A release that is not ready by then has failed; of real time, in which programs start."""
    restarts: int = 3
    """So many times a release that was never ready is started again."""
    lag_s: float = 0.0
    """What is shown of agents is so old."""
    stale_s: float = 0.0
    """Agents of the release before go on taking sessions so long after the new one is live."""
    slow_s: float = 0.0
    """An agent takes so much longer to be ready; of real time."""
    reuse: bool = True
    """An agent whose session ended takes the next one, in the same process."""
    buffer: int = 0
    """Idle agents beside the busy ones, free of charge."""
    cooldown_s: float = 300.0
    """An idle agent beyond those is stopped after so long."""
    hold_s: float = 120.0
    """A client must offer within so long."""
    namespaces: bool = True
    """An agent's manifest names its organization."""
    limit: int = 50
    """No agent's `maxAgents` is more."""
    failing_secrets: set[str] = field(default_factory=set)
    """Names of sets that cannot be stored."""
    failing_builds: str = ""
    """What the builder says when it fails, if it does."""
    ice_servers: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "urls": [
                    "stun:stun.cloudflare.com:3478",
                    "turn:turn.cloudflare.com:3478?transport=udp",
                    "turn:turn.cloudflare.com:3478?transport=tcp",
                    "turns:turn.cloudflare.com:5349?transport=tcp",
                ],
                "username": "caller",
                "credential": "of-the-stand-in",
            }
        ]
    )
    """For callers that ask for them."""
    bot_ice_servers: list[dict[str, Any]] = field(default_factory=list)
    """For bots. None: everything is on this machine, and a server that does not answer takes 5 s."""
