"""The transports a call can come by, each a module with `prepare()` and a class that follows `Transport`.

`prepare` runs before any fork; a transport is made in the call's process when its session comes.
"""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, Literal, Protocol

from ..config import Session
from ..log import log
from ..wire import Message

# Pipecat's own keys.
MODULES = {
    "webrtc": "webrtc",
    "websocket": "websocket",
    "twilio": "websocket",
    "telnyx": "websocket",
    "plivo": "websocket",
    "exotel": "websocket",
    "daily": "daily",
    "livekit": "livekit",
}

# `joined`: the bot is in its room, and nobody else yet.
State = Literal["connecting", "joined", "connected", "disconnected"]


Kind = Literal["bad-offer", "unknown-pc", "no-candidates", "taken", "failed"]


class Rejected(Exception):
    """A question of the front that is answered with an error."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Host(Protocol):
    """What a transport tells the call it carries."""

    def start(self, runner_args: Any) -> None:
        """Runs the bot; only the first time counts."""

    def state(self, state: State) -> None: ...

    def gone(self) -> None:
        """The client is not there any more and will not come back."""


class Transport(Protocol):
    async def ask(self, question: Message) -> Any:
        """Answers `offer`, `candidates`, `socket`, …; raises `Rejected`. Descriptors are the answerer's to close."""

    async def close(self) -> None:
        """Hangs up. The bot hears of it as of a client that left."""


def make(session: Session, host: Host) -> Transport:
    create: Callable[[Session, Host], Transport] = _module(session.transport).open_transport
    return create(session, host)


def prepare(kind: str) -> None:
    """Raises `Unusable` if the bot's environment cannot carry calls this way."""
    _module(kind).prepare()


def lighten(kind: str) -> None:
    """Takes needless work out of what carries this transport."""
    _module(kind).lighten()


def rehearse(kind: str) -> None:
    """Does what a call's first moments need once, so that no call does it for the first time.

    On a loop that is closed before there is anything to fork; it starts no thread, which is looked at after.
    """
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_module(kind).rehearse())
    except Exception as error:
        log(f"a call is not rehearsed: {error!r}")
    finally:
        loop.close()


class Unusable(Exception):
    """The bot's environment lacks what the transport needs."""


def _module(kind: str) -> Any:
    if kind not in MODULES:
        raise Unusable(f"this version of voicedeploy cannot serve the transport {kind!r}")
    return importlib.import_module(f".{MODULES[kind]}", __name__)
