"""What each transport needs of the front: the answer to `/start`, and what is to be cleared away after a call.

How the media itself goes is the business of the call's process (`worker/transports`).
"""

import importlib
from typing import Protocol

from pydantic import JsonValue

from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.requests import StartRequest
from voicedeploy.serve.session import Session

# Pipecat's own keys.
MODULES = {
    "webrtc": "webrtc",
    "websocket": "socket",
    "twilio": "socket",
    "telnyx": "socket",
    "plivo": "socket",
    "exotel": "socket",
    "daily": "daily",
    "livekit": "livekit",
}


class Way(Protocol):
    async def start(self, session: Session, wanted: StartRequest, outside: str) -> dict[str, JsonValue]:
        """What the answer to `/start` says besides the session's id. `outside`: the front's address as its callers see
        it. Raises `Refusal`; the session is then given back."""
        ...

    async def end(self, session: Session) -> None:
        """The call's process is gone. Raises nothing."""
        ...

    async def close(self) -> None:
        """The front ends; every call has ended."""
        ...


def make(config: FrontConfig, log: Log) -> Way:
    """The way of the transport that this front serves; one that it cannot serve is refused where its bot is loaded."""
    module = importlib.import_module(f"{__name__}.{MODULES.get(config.transport.kind, 'webrtc')}")
    way: Way = module.open_way(config, log)
    return way
