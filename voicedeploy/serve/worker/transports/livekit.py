"""LiveKit's rooms."""

from ..config import Session
from . import Host, Transport, room

LIVEKIT = room.Kind(
    module="pipecat.transports.livekit.transport",
    name="LiveKitTransport",
    arguments="LiveKitRunnerArguments",
    extra="livekit",
    joined="on_connected",
    out={"on_disconnected": None},
    door=("room_name", "url", "token"),
)


def prepare() -> None:
    room.prepare(LIVEKIT)


def lighten() -> None:
    """Its media is native code with threads of its own."""


async def rehearse() -> None:
    """Nothing: the native code starts its threads with the first room, which must not be before a fork."""


def open_transport(session: Session, host: Host) -> Transport:
    return room.Room(LIVEKIT, session, host)
