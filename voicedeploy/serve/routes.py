"""What each path does."""

import base64
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicedeploy.serve.access import Doorkeeper, Grant
from voicedeploy.serve.body import parse_model, read_body
from voicedeploy.serve.child import ChildGone, Refused
from voicedeploy.serve.front import Front
from voicedeploy.serve.listener import PublicListener
from voicedeploy.serve.metrics import CONTENT_TYPE
from voicedeploy.serve.origins import origin_allowed
from voicedeploy.serve.page import PAGE, page_file
from voicedeploy.serve.peers import FORWARDED, UNKNOWN, Peers
from voicedeploy.serve.phone import LINES
from voicedeploy.serve.phone.webhook import Phone
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.requests import CandidatesRequest, DrainRequest, OfferRequest, StartRequest, TokenRequest
from voicedeploy.serve.session import Session
from voicedeploy.serve.shapes import Drained, Minted, Opened, Ready
from voicedeploy.serve.tokens import START_TTL_S, InvalidToken, Tokens
from voicedeploy.serve.upgrade import CONNECTION, Connection, Taken

OFFER_TIMEOUT_S = 30.0

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KINDS: dict[str, tuple[int, str]] = {
    "bad-offer": (400, ""),
    "unknown-pc": (404, "offer again without `pc_id`"),
    "taken": (409, "start another call"),
    "no-candidates": (502, "no address or UDP port is left for this call: see media.udp_ports and media.nets"),
    "failed": (502, "the bot's log says why"),
}

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class House:
    """What the routes work on."""

    front: Front
    tokens: Tokens
    door: Doorkeeper
    peers: Peers
    listener: PublicListener
    phone: Phone | None = None
    page: Path = PAGE


class Routes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._front = house.front

    def table(self) -> list[Route]:
        return [
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/status", self.status),
            Route("/metrics", self.metrics),
            Route("/token", self._changing(self.token), methods=["POST"]),
            Route("/start", self._changing(self.start), methods=["POST"]),
            Route("/api/offer", self._changing(self.bare_offer), methods=["POST"]),
            Route("/api/offer", self._changing(self.bare_candidates), methods=["PATCH"]),
            Route("/sessions/{id}/api/offer", self._changing(self.offer), methods=["POST"]),
            Route("/sessions/{id}/api/offer", self._changing(self.candidates), methods=["PATCH"]),
            Route("/sessions/{id}", self.state, methods=["GET"]),
            Route("/sessions/{id}", self._changing(self.end), methods=["DELETE"]),
            Route("/ws/{id}", self._changing(self.socket)),
            *([Route("/ws/line/{token}", self.line)] if self._front.config.transport.kind in LINES else []),
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
        return _json({"live": True})

    async def readyz(self, request: Request) -> Response:
        ready = self._front.readyz()
        if ready.reason == "failed" and self._house.door.caller(request).grant not in (Grant.KEY, Grant.LOCAL):
            # A stranger is not told what the bot is made of.
            ready = Ready(ready=False, reason="failed")
        return _json(ready.model_dump(exclude_defaults=True) | {"ready": ready.ready}, 200 if ready.ready else 503)

    async def status(self, request: Request) -> Response:
        self._govern(request)
        return _json(self._front.status(listening=self._house.listener.listening).model_dump())

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
        return _json(Minted(token=token, expires_in_s=ttl_s).model_dump())

    # Calls

    async def start(self, request: Request) -> Response:
        wanted = parse_model(StartRequest, await read_body(request))
        session = self._admit(request, wanted.transport, wanted.body)
        outside = self._house.door.outside(request)
        try:
            answer = await _answered(session, self._front.way.start(session, wanted, outside))
        except BaseException:
            session.end("not-started", "its start was not answered")
            raise
        return _json({"sessionId": session.id, **answer})

    async def bare_offer(self, request: Request) -> Response:
        body = await read_body(request)
        offer = parse_model(OfferRequest, body)
        # The id of a peer connection is as unguessable as a session's, and lets its holder as much.
        session = self._front.find_by_pc(offer.pc_id or "")
        if session is None and offer.pc_id and (answer := await self._house.peers.forward(request, body)):
            return answer
        if session is not None:
            return _json(await self._offer(session, offer))
        if _forwarded(request):
            raise _unknown()
        session = self._admit(request, "webrtc", {})
        try:
            return _json(await self._offer(session, offer) | {"sessionId": session.id})
        except BaseException:
            session.end("no-connection", "its offer was not answered")
            raise

    async def bare_candidates(self, request: Request) -> Response:
        body = await read_body(request)
        wanted = parse_model(CandidatesRequest, body)
        session = self._front.find_by_pc(wanted.pc_id)
        if session is None:
            if answer := await self._house.peers.forward(request, body):
                return answer
            raise _unknown()
        return await self._candidates(session, wanted)

    async def offer(self, request: Request) -> Response:
        body = await read_body(request)
        offer = parse_model(OfferRequest, body)
        found = await self._find(request, body)
        return found if isinstance(found, Response) else _json(await self._offer(found, offer))

    async def candidates(self, request: Request) -> Response:
        body = await read_body(request)
        wanted = parse_model(CandidatesRequest, body)
        found = await self._find(request, body)
        return found if isinstance(found, Response) else await self._candidates(found, wanted)

    async def socket(self, request: Request) -> Response:
        """The session's one WebSocket; the call's process answers it."""
        connection = _connection(request)
        session = self._front.find(request.path_params["id"])
        if session is None:
            self._not_ended(request.path_params["id"])
            try:
                guest = await self._house.peers.forward_socket(request, connection)
            except OSError as error:
                raise _went_away() from error
            if guest is None:
                raise _unknown()
            self._front.accommodate(guest)
            return Taken()
        return await self._hand_over(connection, session)

    async def line(self, request: Request) -> Response:
        """The socket of a carrier that asks nobody first: a session begins with it."""
        connection = _connection(request)
        if not self._house.tokens.is_line(request.path_params["token"]):
            self._house.door.tried(self._house.door.caller(request))
            raise Refusal(
                403, "bad-token", "this is not the line of this front", hint="`voicedeploy phone bind` says it"
            )
        session = self._front.admit(transport=self._front.config.transport.kind, body={})
        try:
            return await self._hand_over(connection, session)
        except BaseException:
            session.end("no-connection", "its socket was not answered")
            raise

    async def _hand_over(self, connection: Connection, session: Session) -> Response:
        try:
            descriptor = connection.descriptor()
        except OSError as error:
            raise _went_away() from error
        handshake = base64.b64encode(connection.handshake).decode()
        question = {"op": "socket", "handshake": handshake, "client": connection.client}
        try:
            await _answered(session, session.reach(question, timeout_s=OFFER_TIMEOUT_S, descriptors=[descriptor]))
        finally:
            os.close(descriptor)
        return Taken()

    async def state(self, request: Request) -> Response:
        """How far a call is, for who has started it."""
        found = await self._find(request, b"")
        if isinstance(found, Response):
            return found
        return _json({"sessionId": found.id, "transport": found.transport, "state": found.state})

    async def end(self, request: Request) -> Response:
        found = await self._find(request, b"")
        if isinstance(found, Response):
            return found
        found.end("client-left")
        return _json({"sessionId": found.id, "ending": True})

    # The front itself

    async def drain(self, request: Request) -> Response:
        self._govern(request)
        wanted = parse_model(DrainRequest, await read_body(request))
        self._front.drain()
        if wanted.release_port:
            self._house.listener.release()
        return _json(
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
        return _json(Opened(listening=True, host=where.host, port=where.port).model_dump())

    # The page

    async def page_json(self, _: Request) -> Response:
        config = self._front.config
        return _json({"name": config.bot.name, "transport": config.transport.kind})

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

    def _admit(self, request: Request, transport: str | None, body: JsonValue) -> Session:
        """Nothing is awaited between the look at the token and the slot taken: no token starts two calls, and
        one that finds no slot stays good."""
        door = self._house.door
        caller = door.caller(request)
        door.may_start(caller)
        served = self._front.config.transport.kind
        if transport not in (None, served):
            raise Refusal(400, "wrong-transport", f"this bot is served over {served}, not {transport}")
        session = self._front.admit(transport=served, body=body)
        try:
            door.started(caller)
        except InvalidToken as error:
            session.end("not-started", error.message)
            raise Refusal(503, "busy", error.message, retry_after_s=5) from error
        return session

    async def _find(self, request: Request, body: bytes) -> Session | Response:
        """The session of the path, or an older release's answer about it."""
        id = request.path_params["id"]
        if session := self._front.find(id):
            return session
        self._not_ended(id)
        if _ID.fullmatch(id) and (answer := await self._house.peers.forward(request, body)):
            return answer
        raise _unknown()

    def _not_ended(self, id: str) -> None:
        if ended := self._front.why_ended(id):
            raise Refusal(404, "session-ended", f"the call has ended: {ended.reason}", hint="start a new one")

    async def _offer(self, session: Session, offer: OfferRequest) -> dict[str, JsonValue]:
        with_child = session.offer(offer.question(), timeout_s=OFFER_TIMEOUT_S)
        return await _answered(session, with_child)

    async def _candidates(self, session: Session, wanted: CandidatesRequest) -> Response:
        await _answered(session, session.candidates(wanted.model_dump(), timeout_s=OFFER_TIMEOUT_S))
        return _json({"status": "success"})


async def _answered(session: Session, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except Refused as error:
        status, hint = _KINDS[error.kind]
        raise Refusal(status, error.kind, error.said, hint=hint) from error
    except ChildGone:
        why = session.verdict
        raise Refusal(
            502,
            why.reason if why else "bot-failed",
            f"the bot's process ended before it answered{f': {why.detail}' if why and why.detail else ''}",
            hint="start a new call; the bot's log says why this one ended",
        ) from None
    except TimeoutError:
        raise Refusal(
            504, "bot-too-slow", "the bot's process did not answer in time", hint="the bot's log says why"
        ) from None


def _connection(request: Request) -> Connection:
    connection: Connection | None = request.scope.get(CONNECTION)
    if connection is None:
        raise Refusal(426, "upgrade-required", "this address is for a WebSocket", hint="connect by ws:// or wss://")
    return connection


def _went_away() -> Refusal:
    return Refusal(400, "bad-request", "the client went away")


def _forwarded(request: Request) -> bool:
    return bool(request.scope["private"] and request.headers.get(FORWARDED))


def _unknown() -> Refusal:
    return Refusal(404, "unknown-session", "no such call here", hint="start a new one")


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status, headers={"Cache-Control": "no-store"})
