"""Daily's rooms."""

from ..config import Session
from . import Host, Transport, room

DAILY = room.Kind(
    module="pipecat.transports.daily.transport",
    name="DailyTransport",
    arguments="DailyRunnerArguments",
    extra="daily",
    joined="on_joined",
    # The second one alone when somebody else has ended the call: the room is deleted or has expired.
    out={"on_left": None, "on_call_state_updated": "left"},
    door=("room_url", "token"),
)


def prepare() -> None:
    room.prepare(DAILY)


def lighten() -> None:
    """Its media is native code with threads of its own."""


async def rehearse() -> None:
    """Nothing: the native code starts its threads with the first transport, which must not be before a fork."""


def open_transport(session: Session, host: Host) -> Transport:
    return room.Room(DAILY, session, host)
