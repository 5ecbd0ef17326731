"""The paths of calls that run on this machine."""

import base64
import os
import re
from collections.abc import Awaitable
from typing import TypeVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from voicedeploy.serve.access import Doorkeeper
from voicedeploy.serve.answers import json_answer
from voicedeploy.serve.body import parse_model, read_body
from voicedeploy.serve.child import ChildGone, Refused
from voicedeploy.serve.front import Front
from voicedeploy.serve.guests import connection_of, to_its_release, went_away
from voicedeploy.serve.peers import FORWARDED, Peers
from voicedeploy.serve.phone import LINES
from voicedeploy.serve.refusal import Refusal, unknown_session
from voicedeploy.serve.requests import CandidatesRequest, OfferRequest, StartRequest, speaks
from voicedeploy.serve.session import Session
from voicedeploy.serve.tokens import Tokens
from voicedeploy.serve.upgrade import Connection, Taken

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


class OwnCalls:
    def __init__(self, front: Front, door: Doorkeeper, tokens: Tokens, peers: Peers) -> None:
        self._front = front
        self._door = door
        self._tokens = tokens
        self._peers = peers

    def lines(self) -> list[Route]:
        return [Route("/ws/line/{token}", self.line)] if self._front.config.transport.kind in LINES else []

    async def start(self, request: Request) -> Response:
        wanted = parse_model(StartRequest, await read_body(request))
        session = self._admit(request, wanted.transport, wanted.body)
        outside = self._door.outside(request)
        try:
            answer = await _answered(session, self._front.way.start(session, wanted, outside))
        except BaseException:
            session.end("not-started", "its start was not answered")
            raise
        return json_answer({"sessionId": session.id, **answer})

    async def bare_offer(self, request: Request) -> Response:
        body = await read_body(request)
        offer = parse_model(OfferRequest, body)
        # The id of a peer connection is as unguessable as a session's, and lets its holder as much.
        session = self._front.find_by_pc(offer.pc_id or "")
        if session is None and offer.pc_id and (answer := await self._peers.forward(request, body)):
            return answer
        if session is not None:
            return json_answer(await self._offer(session, offer))
        if _forwarded(request):
            raise unknown_session()
        session = self._admit(request, "webrtc", {})
        try:
            return json_answer(await self._offer(session, offer) | {"sessionId": session.id})
        except BaseException:
            session.end("no-connection", "its offer was not answered")
            raise

    async def bare_candidates(self, request: Request) -> Response:
        body = await read_body(request)
        wanted = parse_model(CandidatesRequest, body)
        session = self._front.find_by_pc(wanted.pc_id)
        if session is None:
            if answer := await self._peers.forward(request, body):
                return answer
            raise unknown_session()
        return await self._candidates(session, wanted)

    async def offer(self, request: Request) -> Response:
        body = await read_body(request)
        offer = parse_model(OfferRequest, body)
        found = await self._find(request, body)
        return found if isinstance(found, Response) else json_answer(await self._offer(found, offer))

    async def candidates(self, request: Request) -> Response:
        body = await read_body(request)
        wanted = parse_model(CandidatesRequest, body)
        found = await self._find(request, body)
        return found if isinstance(found, Response) else await self._candidates(found, wanted)

    async def socket(self, request: Request) -> Response:
        """The session's one WebSocket; the call's process answers it."""
        connection = connection_of(request)
        session = self._front.find(request.path_params["id"])
        if session is None:
            self._not_ended(request.path_params["id"])
            await to_its_release(self._peers, request, self._front.guests)
            return Taken()
        return await self._hand_over(connection, session)

    async def line(self, request: Request) -> Response:
        """The socket of a carrier that asks nobody first: a session begins with it."""
        connection = connection_of(request)
        if not self._tokens.is_line(request.path_params["token"]):
            self._door.tried(self._door.caller(request))
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
            raise went_away() from error
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
        return json_answer({"sessionId": found.id, "transport": found.transport, "state": found.state})

    async def end(self, request: Request) -> Response:
        found = await self._find(request, b"")
        if isinstance(found, Response):
            return found
        found.end("client-left")
        return json_answer({"sessionId": found.id, "ending": True})

    def _admit(self, request: Request, transport: str | None, body: JsonValue) -> Session:
        """Nothing is awaited between the look at the token and the slot taken: no token starts two calls, and
        one that finds no slot stays good."""
        door = self._door
        caller = door.caller(request)
        door.may_start(caller)
        served = self._front.config.transport.kind
        speaks(served, transport)
        session = self._front.admit(transport=served, body=body)
        try:
            door.started(caller)
        except Refusal as refusal:
            session.end("not-started", refusal.message)
            raise
        return session

    async def _find(self, request: Request, body: bytes) -> Session | Response:
        """The session of the path, or an older release's answer about it."""
        id = request.path_params["id"]
        if session := self._front.find(id):
            return session
        self._not_ended(id)
        if _ID.fullmatch(id) and (answer := await self._peers.forward(request, body)):
            return answer
        raise unknown_session()

    def _not_ended(self, id: str) -> None:
        if ended := self._front.why_ended(id):
            raise Refusal(404, "session-ended", f"the call has ended: {ended.reason}", hint="start a new one")

    async def _offer(self, session: Session, offer: OfferRequest) -> dict[str, JsonValue]:
        with_child = session.offer(offer.question(), timeout_s=OFFER_TIMEOUT_S)
        return await _answered(session, with_child)

    async def _candidates(self, session: Session, wanted: CandidatesRequest) -> Response:
        await _answered(session, session.candidates(wanted.model_dump(), timeout_s=OFFER_TIMEOUT_S))
        return json_answer({"status": "success"})


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


def _forwarded(request: Request) -> bool:
    return bool(request.scope["private"] and request.headers.get(FORWARDED))
