"""The ASGI applications of the two doors: the public one, and the unix socket where everything is allowed."""

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.routes import House, Routes

# Longer than the longest honest answer.
REQUEST_TIMEOUT_S = 60.0


def make_app(house: House, *, private: bool) -> ASGIApp:
    """The ASGI application of one door."""
    routes = Routes(house)
    origins = house.front.config.access.origins
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type"],
        expose_headers=["retry-after"],
        max_age=600,
    )

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return routes.refuse(request, error)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        codes = {404: "not-found", 405: "method-not-allowed"}
        refusal = Refusal(error.status_code, codes.get(error.status_code, "bad-request"), error.detail)
        return routes.refuse(request, refusal, error.headers)

    def broken(request: Request, error: Exception) -> Response:
        house.front.log.error("broken", error=f"{type(error).__name__}: {error}")
        return routes.refuse(request, Refusal(500, "internal", "the front failed", hint="its log says why"))

    app = Starlette(
        routes=routes.table(),
        middleware=[cors] if origins else [],
        exception_handlers={Refusal: refused, HTTPException: http, Exception: broken},
    )

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["private"] = private
            await _in_time(app, scope, receive, send)

    return door


async def _in_time(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """No request, and no reader that does not read, stays for ever."""
    answered = False

    async def noted(message: Message) -> None:
        nonlocal answered
        answered = True
        await send(message)

    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            await app(scope, receive, noted)
    except TimeoutError:
        if not answered:
            refusal = Refusal(503, "too-slow", "no answer in time", retry_after_s=5)
            await JSONResponse(refusal.body, refusal.status, refusal.headers)(scope, receive, send)
