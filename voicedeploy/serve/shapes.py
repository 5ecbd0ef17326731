"""What the front says over HTTP: the same types serve it and read it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    # A client reads older and newer fronts too.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Slots(Shape):
    max: int
    busy: int
    warm: int
    """Processes that wait ready for a call."""


class SessionStatus(Shape):
    id: str
    started_at: str
    transport: str
    pid: int | None
    state: str = ""


class Listening(Shape):
    host: str
    port: int


class Status(Shape):
    """`GET /status`."""

    bot: str = ""
    release: str
    pipecat: str
    python: str = ""
    transport: str
    slots: Slots
    sessions: list[SessionStatus]
    draining: bool
    listening: bool = False
    """Whether the public listener is open."""
    listen: Listening | None = None
    max_duration_s: float = 0
    isolation: str = ""
    """How call processes come to be now: `fork`, or `spawn` also where the bot cannot be forked."""
    unforkable: str = ""
    """Why the bot cannot be forked, if it cannot."""
    zygote_pid: int | None = None
    upstream: str = ""
    """The platform that the calls run on, where that is not this front's machine."""
    log_dropped: int = 0


NotReadyReason = Literal["starting", "warming", "busy", "draining", "failed"]


class Ready(Shape):
    """`GET /readyz`. What failed is told only to holders of the key and on the unix socket."""

    ready: bool
    reason: NotReadyReason | None = None
    error: str = ""
    where: str = ""
    traceback: str = ""


class Minted(Shape):
    """`POST /token`."""

    token: str
    expires_in_s: int


class Drained(Shape):
    """`POST /drain`: `sessions` calls still run."""

    draining: bool
    sessions: int
    listening: bool


class Opened(Shape):
    """`POST /open`."""

    listening: bool
    host: str
    port: int
