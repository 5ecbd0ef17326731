"""Rooms, where Pipecat's own transport goes to: this follows who comes and who leaves.

The bot makes that transport itself, in whatever way it likes. So its class says here that one was made, and its events,
which are Pipecat's interface for bots, say the rest.
"""

import asyncio
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import Session
from ..latency import pipelines
from ..log import log
from ..wire import Message
from . import Host, Rejected, Unusable

# Who reloads the page or changes the network leaves, and comes again.
RETURN_S = 8.0
# Of the second that hanging up may take: for the bot's own handler of a client that left.
GOODBYE_S = 0.5


@dataclass(frozen=True)
class Kind:
    """A transport of Pipecat's. `joined`: its event for the bot being in the room. `out`: its events for the bot not
    being there any more, with the first argument that means so (None: any). `door`: what `join` brings, as the runner's
    arguments call it."""

    module: str
    name: str
    arguments: str
    extra: str
    joined: str
    out: Mapping[str, str | None]
    door: tuple[str, ...]


def prepare(kind: Kind) -> None:
    try:
        transport = getattr(importlib.import_module(kind.module), kind.name)
        importlib.import_module("pipecat.runner.types")
    except (ImportError, AttributeError) as error:
        raise Unusable(f"{error}; the bot needs the package pipecat-ai[{kind.extra}]") from None
    if not callable(getattr(transport, "add_event_handler", None)):
        raise Unusable(f"this Pipecat's {kind.name} has no events: nobody would know that a caller is there")


class Room:
    def __init__(self, kind: Kind, session: Session, host: Host) -> None:
        self._kind = kind
        self._session = session
        self._host = host
        self._sent_in = False
        self._joined = False
        self._ended = False
        self._present: dict[str, tuple[Any, Any]] = {}
        """By their ids: the transport that says so, and the client as it says it."""
        self._waiting: asyncio.Task[None] | None = None
        _tell_when_made(getattr(importlib.import_module(kind.module), kind.name), self._made)

    async def ask(self, question: Message) -> Any:
        if question["op"] != "join":
            raise Rejected("failed", f"cannot {question['op']}: callers of this bot come to a room")
        if self._sent_in:
            raise Rejected("taken", "the bot is in its room")
        self._sent_in = True
        self._host.state("connecting")
        self._host.start(self._runner_args(question))
        return {}

    async def close(self) -> None:
        """The bot hears that its clients left. What it does not end by that is cancelled, and so leaves the room."""
        self._ended = True
        if self._waiting:
            self._waiting.cancel()
        present, self._present = self._present, {}
        for transport, client in present.values():
            await _call(transport, "on_client_disconnected", client)
        running = [worker for worker in pipelines.workers if not worker.has_finished()]
        if present and running:
            await _until(lambda: pipelines.over, GOODBYE_S)
        for worker in running:
            if not worker.has_finished():
                await worker.cancel()

    def _runner_args(self, door: Message) -> Any:
        arguments = getattr(importlib.import_module("pipecat.runner.types"), self._kind.arguments)
        args = {
            **{name: door[name] for name in self._kind.door},
            "body": self._session.body,
            "session_id": self._session.session_id,
        }
        # Older versions know fewer of them.
        known = inspect.signature(arguments).parameters
        return arguments(**{name: value for name, value in args.items() if name in known})

    # What the bot's transport says

    def _made(self, transport: Any) -> None:
        async def joined(_: Any, *__: Any) -> None:
            if not self._joined:
                self._joined = True
                if not self._present:
                    self._host.state("joined")

        async def came(transport: Any, client: Any) -> None:
            self._present[_id(client)] = (transport, client)
            if self._waiting:
                self._waiting.cancel()
                self._waiting = None
            self._host.state("connected")

        async def left(_: Any, client: Any) -> None:
            if self._present.pop(_id(client), None) and not self._present and not self._ended:
                self._host.state("disconnected")
                self._waiting = asyncio.create_task(self._give_up())

        def out(meaning: str | None) -> Any:
            async def thrown_out(_: Any, *said: Any) -> None:
                if self._joined and (meaning is None or meaning in said):
                    self._gone()

            return thrown_out

        transport.add_event_handler(self._kind.joined, joined)
        transport.add_event_handler("on_client_connected", came)
        transport.add_event_handler("on_client_disconnected", left)
        for event, meaning in self._kind.out.items():
            transport.add_event_handler(event, out(meaning))

    async def _give_up(self) -> None:
        await asyncio.sleep(RETURN_S)
        self._waiting = None
        log(f"nobody came back within {RETURN_S:.0f} s")
        self._gone()

    def _gone(self) -> None:
        if not self._ended:
            self._ended = True
            self._present.clear()
            self._host.gone()


def _tell_when_made(transport: type[Any], tell: Callable[[Any], None]) -> None:
    make = transport.__init__

    @functools.wraps(make)
    def made(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        tell(self)

    setattr(transport, "__init__", made)  # noqa: B010


def _id(client: Any) -> str:
    return str(client.get("id", "") if isinstance(client, Mapping) else client)


async def _call(transport: Any, event: str, client: Any) -> None:
    call = getattr(transport, "_call_event_handler", None)
    if call is None:
        log("the bot does not hear that its client left: this Pipecat has changed")
        return
    await call(event, client)


async def _until(true: Callable[[], bool], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not true() and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
