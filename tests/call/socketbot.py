"""A bot behind a media socket in the test's own process: what it got and when, and every fault on demand."""

import asyncio
import json
import socket
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from voicedeploy.call import Callee
from voicedeploy.call.lines.socket import ulaw


def tone(seconds: float, hertz: float = 440) -> bytes:
    """µ-law at 8 kHz."""
    return ulaw.encode((6000 * np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)).astype(np.int16))


Act = Callable[["SocketBot"], Awaitable[None]]


@dataclass
class SocketBot:
    """Twilio's protocol. `greets` runs when `start` has come, `answers` whenever the caller was loud and then quiet."""

    greets: Act | None = None
    answers: Act | None = None
    start: Response | dict[str, Any] | None = field(
        default_factory=lambda: {"sessionId": "s1", "wsUrl": "ws://0.0.0.0:1/ws"}
    )
    refuses: Response | None = None
    got: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    path: str = ""
    asked: list[str] = field(default_factory=list)
    quiet_at: float = 0.0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    ws: WebSocket | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def events(self, name: str) -> list[tuple[float, dict[str, Any]]]:
        return [(at, body) for at, body in self.got if body["event"] == name]

    async def say(self, **body: Any) -> None:
        assert self.ws is not None
        await self.ws.send_text(json.dumps({"streamSid": "MZ", **body}))

    async def play(self, data: bytes) -> None:
        """All at once, as fast as it goes."""
        for at in range(0, len(data), 320):
            await self.say(event="media", media={"payload": b64encode(data[at : at + 320]).decode()})

    async def _page(self, _: Request) -> Response:
        return JSONResponse({"name": "stub", "transport": "twilio"})

    async def _start(self, request: Request) -> Response:
        self.asked.append((await request.json())["transport"])
        if self.start is None:
            return Response(status_code=404)
        return self.start if isinstance(self.start, Response) else JSONResponse(self.start)

    async def _serve(self, ws: WebSocket) -> None:
        self.path, self.headers = ws.url.path, dict(ws.headers)
        if self.refuses is not None:
            await ws.send_denial_response(self.refuses)
            return
        await ws.accept()
        self.ws = ws
        loud = False
        try:
            async for text in ws.iter_text():
                now = time.monotonic()
                body = json.loads(text)
                self.got.append((now, body))
                if body["event"] == "start" and self.greets:
                    self._go(self.greets(self))
                if body["event"] == "media":
                    peak = int(np.abs(ulaw.decode(b64decode(body["media"]["payload"])).astype(int)).max())
                    if peak > 500:
                        loud, self.quiet_at = True, now
                    elif loud and now - self.quiet_at > 0.1:
                        loud = False
                        if self.answers:
                            self._go(self.answers(self))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self.hung_up.set()

    def _go(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))


@asynccontextmanager
async def running(bot: SocketBot, *, unix: Path | None = None) -> AsyncIterator[Callee]:
    routes = [
        Route("/page.json", bot._page),
        Route("/start", bot._start, methods=["POST"]),
        WebSocketRoute("/ws", bot._serve),
        WebSocketRoute("/ws/{id}", bot._serve),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    if unix is not None:
        listener.close()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(unix))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.005)
        url = "http://127.0.0.1/" if unix else f"http://127.0.0.1:{listener.getsockname()[1]}/"
        yield Callee.parse(url, socket=str(unix or ""))
    finally:
        for task in bot._tasks:
            task.cancel()
        await asyncio.gather(*bot._tasks, return_exceptions=True)
        server.should_exit = True
        await serving
        listener.close()
