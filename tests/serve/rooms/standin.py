"""Stand-ins for services that make rooms: real HTTP, and every request looked at as the service would."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicedeploy.serve.listener import _Server

Fields = dict[str, Any]


class Wrong(Exception):
    """What the service would answer."""

    def __init__(self, status: int, body: Fields, **headers: str) -> None:
        self.answer = JSONResponse(body, status, headers=headers)


@dataclass
class StandIn:
    """`rooms` are there now; `made` counts them all. `asked` is each request as `METHOD /path`.

    `delay_s` passes before each answer. `faults` are the answers that the next requests get whose line begins so,
    whatever they ask."""

    delay_s: float = 0
    made: int = 0
    rooms: dict[str, Fields] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: list[tuple[str, Wrong]] = field(default_factory=list)
    url: str = ""

    def routes(self) -> list[Route]:
        raise NotImplementedError

    async def look(self, request: Request) -> None:
        line = f"{request.method} {request.url.path}"
        self.asked.append(line)
        await asyncio.sleep(self.delay_s)
        for number, (begin, fault) in enumerate(self.faults):
            if line.startswith(begin):
                del self.faults[number]
                raise fault

    def handle(self, handler: Any) -> Any:
        async def handled(request: Request) -> Response:
            try:
                await self.look(request)
                answer: Response = await handler(request)
                return answer
            except Wrong as wrong:
                return wrong.answer

        return handled


def only(said: Any, known: set[str], wrong: Callable[[str], Wrong]) -> Fields:
    """`said`, if it is an object with no other keys than these."""
    if not isinstance(said, dict):
        raise wrong("not an object")
    if unknown := set(said) - known:
        raise wrong(f"unknown: {', '.join(sorted(unknown))}")
    return said


@asynccontextmanager
async def standing(standin: StandIn, host: str = "127.0.0.1") -> AsyncIterator[None]:
    """Serves it on a port of that address, named by its `url`."""
    sock = socket.socket()
    sock.bind((host, 0))
    standin.url = f"http://{host}:{sock.getsockname()[1]}"
    server = _Server(uvicorn.Config(Starlette(routes=standin.routes()), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve([sock]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving
        sock.close()
