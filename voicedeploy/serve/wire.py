"""What the front and the bot's processes say to each other, as the front sees it.

Unix stream socket pairs carry one JSON object a line, utf-8, at most `LONGEST_LINE` bytes. File descriptors
travel by SCM_RIGHTS with the line that names them. Two conversations:

zygote   front: {"op": "fork", "child"} + [control, log]
         zygote: `Loaded` or `Failed` once; `Forked`, then `Exited` for each child
child    child: `Ready`; `State`, `BotState`, `Latency`, `FirstWord`; `Reply` for each question
         front: {"op": "session", ...} once; {"op": "end", "reason"}; and questions of the session's transport:
                {"op": "offer"|"candidates"|"join", "id", ...}, {"op": "socket", "id", "descriptors": 1, ...} + [socket]

A spawned child says `Loaded` or `Failed` before `Ready`. End of file ends the process that reads it.
"""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

LONGEST_LINE = 1 << 20

EndReason = Literal["max_duration", "client", "drain", "memory"]


class Message(BaseModel):
    # A newer worker may say more than this front knows.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Loaded(Message):
    event: Literal["loaded"]
    pipecat: str = ""
    python: str = ""
    import_ms: float = 0
    preload_ms: float = 0
    forkable: bool = True
    reason: str = ""
    """Why the bot cannot be forked."""


class Failed(Message):
    event: Literal["failed"]
    error: str
    where: str = ""
    traceback: str = ""


class Forked(Message):
    event: Literal["forked"]
    child: str
    pid: int = Field(gt=1)


class Exited(Message):
    """A fork that failed is an end without a birth: `pid` is 0 then, and `error` says why."""

    event: Literal["exited"]
    child: str
    pid: int = Field(ge=0)
    error: str = ""
    code: int | None = None
    signal: int | None = None
    cpu_s: float | None = None
    max_rss: int | None = None


class Ready(Message):
    event: Literal["ready"]


class State(Message):
    event: Literal["state"]
    state: Literal["connecting", "joined", "connected", "disconnected"]
    """`joined`: the bot is in its room, alone."""


class BotState(Message):
    event: Literal["bot"]
    state: Literal["started", "finished", "failed"]
    error: str = ""
    where: str = ""
    traceback: str = ""


class Segment(Message):
    key: str
    ms: float


class Latency(Message):
    event: Literal["latency"]
    voice_to_voice_ms: float
    segments: list[Segment] = []


class FirstWord(Message):
    event: Literal["first_word"]
    ms: float


class Reply(Message):
    """The answer to question number `reply`."""

    reply: int
    answer: JsonValue = None
    error: str | None = None
    kind: Literal["bad-offer", "unknown-pc", "no-candidates", "taken", "failed"] = "failed"


Said = Annotated[
    Loaded | Failed | Forked | Exited | Ready | State | BotState | Latency | FirstWord,
    Field(discriminator="event"),
]
_said: TypeAdapter[Said] = TypeAdapter(Said)


def parse(line: bytes) -> Said | Reply:
    """Raises `ValueError` for a line that is not of the wire."""
    data = json.loads(line)
    if isinstance(data, dict) and "reply" in data:
        return Reply.model_validate(data)
    return _said.validate_python(data)
