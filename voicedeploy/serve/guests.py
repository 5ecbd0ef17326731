"""Connections of calls that run elsewhere: they are carried through this front, and it does not end before them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request

from voicedeploy.serve.peers import Peers
from voicedeploy.serve.refusal import Refusal, unknown_session
from voicedeploy.serve.upgrade import CONNECTION, Connection


class Guests:
    """`left` is called whenever one has gone."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left
        self.tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self.tasks)

    def take(self, guest: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(guest)
        self.tasks.add(task)

        def gone(task: asyncio.Task[None]) -> None:
            self.tasks.discard(task)
            self._left()

        task.add_done_callback(gone)

    def send_away(self) -> None:
        for task in self.tasks:
            task.cancel()


def connection_of(request: Request) -> Connection:
    """Raises `Refusal` for a request that is no WebSocket's."""
    connection: Connection | None = request.scope.get(CONNECTION)
    if connection is None:
        raise Refusal(426, "upgrade-required", "this address is for a WebSocket", hint="connect by ws:// or wss://")
    return connection


async def to_its_release(peers: Peers, request: Request, guests: Guests) -> None:
    """Carries a socket to the older release whose call it is. Raises `Refusal` where none knows it."""
    try:
        guest = await peers.forward_socket(request, connection_of(request))
    except OSError as error:
        raise went_away() from error
    if guest is None:
        raise unknown_session()
    guests.take(guest)


def went_away() -> Refusal:
    return Refusal(400, "bad-request", "the client went away")
