"""What stands on a target, as the target itself remembers it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, Self

ReleaseState = Literal["live", "draining", "kept"]
State = Literal["running", "starting", "draining", "failed", "stopped", "unknown"]


def state_of(*, ready: bool, draining: bool, reason: str) -> State:
    """The state of a bot whose front answers, by what that tells of itself."""
    if draining:
        return "draining"
    if ready:
        return "running"
    return "failed" if reason == "failed" else "starting"


@dataclass(frozen=True)
class Deployment:
    """The record a target keeps of a bot: everything is text, so that labels, tags and one small file can hold it."""

    provider: str
    bot: str
    release: str
    transport: str
    url: str
    created_at: str = ""
    """UTC, ISO 8601."""

    def labels(self) -> dict[str, str]:
        return {f"voicedeploy-{key.replace('_', '-')}": value for key, value in asdict(self).items()}

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Self | None:
        """The deployment that `labels` describe, None where they are not ours; labels of later versions are ignored."""
        values = {f.name: labels.get(f"voicedeploy-{f.name.replace('_', '-')}", "") for f in fields(cls)}
        return cls(**values) if values["bot"] and values["release"] else None


@dataclass(frozen=True)
class Draining:
    """An older release that only waits for its last calls to end."""

    release: str
    sessions: int


@dataclass(frozen=True)
class Release:
    """A release that the target still holds. `created_at` is UTC, ISO 8601; `transport` may be "" where not known."""

    id: str
    state: ReleaseState
    created_at: str = ""
    transport: str = ""
    sessions: int = 0
    was_live: bool = True
    """It has had traffic: `rollback` goes back to the newest of these when no release is named."""


@dataclass(frozen=True)
class Status:
    deployment: Deployment
    state: State
    reason: str = ""
    sessions: int = 0
    slots: int = 0
    warm: int = 0
    draining: tuple[Draining, ...] = ()
    cost_per_day: float | None = None
    """In US dollars when nobody calls; None where nobody sends a bill."""
    disk_free: int | None = None
    """Bytes left where releases are kept; None where that is nobody's business."""
