"""What the front tells a worker when it starts it, and what it tells a call's process about its session."""

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

VARIABLE = "VOICEDEPLOY_WORKER"


@dataclass(frozen=True, kw_only=True)
class Config:
    """`role`: `zygote` forks, `child` (isolation "spawn") is itself the process of one call.

    `tuned`: false leaves aiortc's and Pipecat's way of working alone, for benchmarks to compare with.
    """

    role: Literal["zygote", "child"]
    control_fd: int
    project: Path
    entry: str
    transport: str = "webrtc"
    child: str | None = None
    tuned: bool = True

    @classmethod
    def from_environment(cls) -> Self:
        """Takes the variable out of the environment: it is not the bot's."""
        said = json.loads(os.environ.pop(VARIABLE))
        known = _known(cls, said)
        return cls(**{**known, "project": Path(said["project"])})


@dataclass(frozen=True, kw_only=True)
class Session:
    """`cpu`: index of the core to stay on. `memory`: bytes for what the call adds. `idle_s`: how long
    nobody may speak. Lists may be empty."""

    session_id: str
    transport: str = "webrtc"
    body: Any = field(default_factory=dict)
    ice_servers: list[dict[str, Any]] = field(default_factory=list)
    udp_ports: list[int] = field(default_factory=list)
    public_ip: str | None = None
    nets: list[str] = field(default_factory=list)
    bind: str | None = None
    relay_only: bool = False
    cpu: int | None = None
    memory: int | None = None
    idle_s: float | None = None

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        return cls(**_known(cls, message))


def _known(cls: type[Any], said: dict[str, Any]) -> dict[str, Any]:
    # A newer front may say more than this worker knows; null means the default.
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in said.items() if key in names and value is not None}
