"""Each request to the API: who asks, whether it is as described, and whether it goes wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.providers.pipecat_cloud.standin.contract import Contract
from tests.providers.pipecat_cloud.standin.world import Organization, Refusal, World
from tests.providers.standins.traps import Trap, Traps

Kind = Literal["private", "public", "token"]
"""Which key opens a route: the organization's private one, its public one, or a person's token."""


@dataclass(frozen=True)
class Ask:
    """A request that may come in."""

    org: Organization
    path: dict[str, str]
    query: dict[str, str]
    body: Any


Answer = tuple[int, Any]
Handler = Callable[[Ask], Awaitable[Answer]]


@dataclass(frozen=True)
class Seen:
    action: str
    method: str
    path: str
    status: int
    kind: str = "private"

    @property
    def changes(self) -> bool:
        return self.method not in ("GET", "HEAD")


@dataclass
class Door:
    """`violations` are what was not as described."""

    world: World
    traps: Traps
    contract: Contract | None
    seen: list[Seen] = field(default_factory=list)
    mute_at: int | None = None
    """From the change of this number on there are no answers, though all is carried out; counted from 1."""
    violations: list[str] = field(default_factory=list)

    def route(self, method: str, path: str, action: str, handler: Handler, kind: Kind = "private") -> Route:
        before = {"private": "/v1", "public": "/v1/public", "token": "/v1/organizations/{org}"}[kind]

        async def endpoint(request: Request) -> Response:
            response = await self._enter(request, before, action, handler, kind)
            await self.saw(Seen(action, method, request.url.path, response.status_code, kind))
            return response

        return Route(before + path, endpoint, methods=[method])

    @property
    def changes(self) -> list[Seen]:
        return [request for request in self.seen if request.changes and request.kind != "public"]

    async def saw(self, request: Seen) -> None:
        """Before it is answered."""
        self.seen.append(request)
        while self.mute_at is not None and len(self.changes) >= self.mute_at:  # noqa: ASYNC110 - another thread says when
            await asyncio.sleep(0.02)

    def org(self, request: Request, kind: Kind) -> Organization | None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return next((org for org in self.world.orgs if getattr(org, kind) == given), None)

    async def _enter(self, request: Request, before: str, action: str, handler: Handler, kind: Kind) -> Response:
        org = self.org(request, kind)
        if org is None or request.path_params.get("org", org.name) != org.name:
            return as_json(401, {"error": "Unauthorized", "code": "401"})
        trap = self.traps.take(action)
        if trap and not trap.done:
            return _sprung(trap)
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return as_json(400, {"error": "invalid JSON", "code": "400"})
        path, query = request.url.path.removeprefix(before), dict(request.query_params)
        # The API of the vendor's own tool has no published description.
        contract = self.contract if kind != "token" else None
        if contract and (wrong := contract.request(request.method, path, query, body)):
            self.violations += wrong
            return as_json(400, {"error": f"Bad request: {'; '.join(wrong)}", "code": "400"})
        try:
            status, answer = await handler(Ask(org, request.path_params, query, body))
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body
        if contract and (wrong := contract.answer(request.method, path, status, answer)):
            self.violations += wrong
            return as_json(500, {"error": f"the stand-in is wrong: {'; '.join(wrong)}", "code": "500"})
        return _sprung(trap) if trap else as_json(status, answer)


def as_json(status: int, body: Any) -> Response:
    return Response(json.dumps(body).encode(), status, media_type="application/json")


def _sprung(trap: Trap) -> Response:
    if trap.status == 0:
        return _Lost()
    response = as_json(trap.status, {"error": trap.error, "code": str(trap.status)})
    if trap.location:
        response.headers["location"] = trap.location
    return response


class _Lost(Response):
    """An answer that ends in the middle, with the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})
