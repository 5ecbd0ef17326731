"""Each request to the API: who asks, whether it is too often, whether it is as described, and whether it goes wrong."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.providers.fly.standin.contract import Contract
from tests.providers.fly.standin.limits import Limits
from tests.providers.fly.standin.world import Refusal, World
from tests.providers.standins.traps import Trap, Traps

_LOOKS = frozenset({"platform.placements"})
"""What is a POST and changes nothing."""


@dataclass(frozen=True)
class Ask:
    """A request that may come in."""

    org: str
    path: dict[str, str]
    query: dict[str, str]
    body: Any
    nonce: str


Answer = tuple[int, Any]
Handler = Callable[[Ask], Awaitable[Answer]]


@dataclass(frozen=True)
class Seen:
    action: str
    method: str
    path: str
    status: int

    @property
    def changes(self) -> bool:
        return self.method not in ("GET", "HEAD") and self.action not in _LOOKS


@dataclass
class Door:
    """`tokens` are the organizations by the value of `Authorization`; `violations` what was not as described."""

    world: World
    tokens: dict[str, str]
    traps: Traps
    contract: Contract | None
    limits: Limits
    seen: list[Seen] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def route(self, method: str, path: str, action: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            response = await self._enter(request, action, handler)
            self.seen.append(Seen(action, method, request.url.path, response.status_code))
            return response

        return Route(f"/v1{path}", endpoint, methods=[method])

    async def _enter(self, request: Request, action: str, handler: Handler) -> Response:
        org = self.tokens.get(request.headers.get("authorization", ""))
        if org is None:
            return _json(401, {"error": "unauthorized"})
        trap = self.traps.take(action)
        if trap and not trap.done:
            return _sprung(trap)
        key = request.path_params.get("machine") or request.path_params.get("app") or ""
        if self.world.settings.limits and not self.limits.take(action, key):
            return _json(429, {"error": "rate limit exceeded"})
        raw = await request.body()
        path = request.url.path.removeprefix("/v1")
        query: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            query[name] = f"{query[name]},{value}" if name in query else value
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return _json(400, {"error": "invalid JSON"})
        if self.contract and (wrong := self.contract.request(request.method, path, query, body)):
            self.violations += wrong
            return _json(400, {"error": f"invalid request: {'; '.join(wrong)}"})
        ask = Ask(org, request.path_params, query, body, request.headers.get("fly-machine-lease-nonce", ""))
        try:
            status, answer = await handler(ask)
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body
        if self.contract and (wrong := self.contract.answer(request.method, path, status, answer)):
            self.violations += wrong
            return _json(500, {"error": f"the stand-in is wrong: {'; '.join(wrong)}"})
        return _sprung(trap) if trap else _json(status, answer)

    async def log(self, request: Request) -> Response:
        """The other address, which has no published description."""
        org = self.tokens.get(request.headers.get("authorization", ""))
        if org is None:
            return _json(401, {"error": "unauthorized"})
        try:
            app = self.world.app(request.path_params["app"], org)
        except Refusal as refusal:
            return _json(refusal.status, refusal.body)
        query = request.query_params
        after = query.get("next_token", "")
        lines = [
            line
            for line in app.log
            if line["id"] > after
            and query.get("instance", line["attributes"]["instance"]) == line["attributes"]["instance"]
            and query.get("region", line["attributes"]["region"]) == line["attributes"]["region"]
        ][:100]
        last = lines[-1]["id"] if lines else after
        self.seen.append(Seen("log.read", "GET", request.url.path, 200))
        return _json(200, {"data": lines, "meta": {"next_token": last}})


def _json(status: int, body: Any) -> Response:
    content = b"" if body is None else json.dumps(body).encode()
    return Response(content, status, {"fly-request-id": "01STANDIN"}, "application/json")


def _sprung(trap: Trap) -> Response:
    if trap.status == 0:
        return _Lost()
    response = _json(trap.status, {"error": trap.error})
    if trap.location:
        response.headers["location"] = trap.location
    return response


class _Lost(Response):
    """An answer that ends in the middle, with the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})
