"""What each path does, but those of calls: `calls.py`, or `upstream/calls.py`."""

import asyncio
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicedeploy.serve.access import Doorkeeper, Grant
from voicedeploy.serve.answers import Handler, json_answer
from voicedeploy.serve.body import parse_model, read_body
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.fleet import Fleet
from voicedeploy.serve.listener import PublicListener
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import CONTENT_TYPE, Metrics
from voicedeploy.serve.origins import origin_allowed
from voicedeploy.serve.page import PAGE, page_file
from voicedeploy.serve.peers import UNKNOWN
from voicedeploy.serve.phone.webhook import Phone
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.requests import DrainRequest, TokenRequest
from voicedeploy.serve.shapes import Drained, Listening, Minted, Opened, Ready, Status
from voicedeploy.serve.tokens import START_TTL_S, Tokens


class Behind(Protocol):
    """What is behind the doors: this machine's own calls, or those of another platform."""

    config: FrontConfig
    log: Log
    metrics: Metrics
    fleet: Fleet

    draining: bool
    drained: asyncio.Event
    failed_at_first: asyncio.Event
    """Set when its bot fails before it ever loaded."""

    @property
    def sessions(self) -> Sized: ...

    def start(self) -> None: ...

    async def close(self) -> None: ...

    def drain(self) -> None: ...

    def resume(self) -> bool: ...

    def readyz(self) -> Ready: ...

    def status(self, *, listening: Listening | None) -> Status: ...

    def update_metrics(self) -> None: ...


class Calls(Protocol):
    """What the paths of Pipecat's clients do."""

    async def start(self, request: Request) -> Response: ...

    async def bare_offer(self, request: Request) -> Response: ...

    async def bare_candidates(self, request: Request) -> Response: ...

    async def offer(self, request: Request) -> Response: ...

    async def candidates(self, request: Request) -> Response: ...

    async def state(self, request: Request) -> Response: ...

    async def end(self, request: Request) -> Response: ...

    async def socket(self, request: Request) -> Response: ...

    def lines(self) -> list[Route]:
        """Sockets of carriers that ask nobody first."""
        ...


@dataclass(frozen=True)
class House:
    """What the routes work on."""

    front: Behind
    calls: Calls
    tokens: Tokens
    door: Doorkeeper
    listener: PublicListener
    phone: Phone | None = None
    page: Path = PAGE


class Routes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._front = house.front

    def table(self) -> list[Route]:
        calls = self._house.calls
        return [
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/status", self.status),
            Route("/metrics", self.metrics),
            Route("/token", self._changing(self.token), methods=["POST"]),
            Route("/start", self._changing(calls.start), methods=["POST"]),
            Route("/api/offer", self._changing(calls.bare_offer), methods=["POST"]),
            Route("/api/offer", self._changing(calls.bare_candidates), methods=["PATCH"]),
            Route("/sessions/{id}/api/offer", self._changing(calls.offer), methods=["POST"]),
            Route("/sessions/{id}/api/offer", self._changing(calls.candidates), methods=["PATCH"]),
            Route("/sessions/{id}", calls.state, methods=["GET"]),
            Route("/sessions/{id}", self._changing(calls.end), methods=["DELETE"]),
            Route("/ws/{id}", self._changing(calls.socket)),
            *calls.lines(),
            *(self._house.phone.routes() if self._house.phone else []),
            Route("/drain", self._changing(self.drain), methods=["POST"]),
            Route("/open", self._changing(self.open), methods=["POST"]),
            Route("/page.json", self.page_json),
            Route("/assets/{path:path}", self.asset),
            Route("/", self.index),
        ]

    def refuse(self, request: Request, refusal: Refusal, more: Any = None) -> Response:
        self._front.metrics.refused.labels(refusal.code).inc()
        headers = {**refusal.headers, **(more or {}), "Cache-Control": "no-store"}
        headers |= self._front.fleet.elsewhere(request, refusal)
        if refusal.code == "unknown-session":
            headers[UNKNOWN] = "1"
        return JSONResponse(refusal.body, status_code=refusal.status, headers=headers)

    # How it is

    async def livez(self, _: Request) -> Response:
        return json_answer({"live": True})

    async def readyz(self, request: Request) -> Response:
        ready = self._front.readyz()
        if ready.reason == "failed" and self._house.door.caller(request).grant not in (Grant.KEY, Grant.LOCAL):
            # A stranger is not told what the bot is made of.
            ready = Ready(ready=False, reason="failed")
        return json_answer(
            ready.model_dump(exclude_defaults=True) | {"ready": ready.ready}, 200 if ready.ready else 503
        )

    async def status(self, request: Request) -> Response:
        self._govern(request)
        return json_answer(self._front.status(listening=self._house.listener.listening).model_dump())

    async def metrics(self, request: Request) -> Response:
        self._govern(request)
        self._front.update_metrics()
        return Response(self._front.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    # Who may

    async def token(self, request: Request) -> Response:
        wanted = parse_model(TokenRequest, await read_body(request))
        door = self._house.door
        caller = door.caller(request)
        if wanted.kind == "invite":
            door.may_govern(caller)
            ttl_s = wanted.ttl_s
        else:
            door.may_mint(caller)
            ttl_s = START_TTL_S
        token = self._house.tokens.mint(wanted.kind, ttl_s)
        return json_answer(Minted(token=token, expires_in_s=ttl_s).model_dump())

    # The front itself

    async def drain(self, request: Request) -> Response:
        self._govern(request)
        wanted = parse_model(DrainRequest, await read_body(request))
        self._front.drain()
        if wanted.release_port:
            self._house.listener.release()
        return json_answer(
            Drained(
                draining=True,
                sessions=len(self._front.sessions),
                listening=self._house.listener.listening is not None,
            ).model_dump()
        )

    async def open(self, request: Request) -> Response:
        self._govern(request)
        if not self._front.resume():
            raise Refusal(409, "draining", "the last call has ended, and this front with it", hint="start a new one")
        where = await self._house.listener.open()
        return json_answer(Opened(listening=True, host=where.host, port=where.port).model_dump())

    # The page

    async def page_json(self, _: Request) -> Response:
        config = self._front.config
        return json_answer({"name": config.bot.name, "transport": config.transport.kind})

    async def index(self, request: Request) -> Response:
        return page_file(self._house.page, "index.html", request.headers)

    async def asset(self, request: Request) -> Response:
        return page_file(self._house.page, f"assets/{request.path_params['path']}", request.headers)

    # Common

    def _changing(self, handler: Handler) -> Handler:
        """No foreign page makes a browser do this, whatever the browser holds."""

        async def checked(request: Request) -> Response:
            headers = request.headers
            allowed = self._front.config.access.origins
            if not request.scope["private"] and not origin_allowed(
                headers.get("origin", ""), headers.get("host", ""), allowed
            ):
                raise Refusal(403, "origin", "pages of this origin may not do this", hint="list it in access.origins")
            return await handler(request)

        return checked

    def _govern(self, request: Request) -> None:
        self._house.door.may_govern(self._house.door.caller(request))
