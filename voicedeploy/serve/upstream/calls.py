"""The paths of calls that run on the platform."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from voicedeploy.serve.access import Doorkeeper
from voicedeploy.serve.answers import json_answer
from voicedeploy.serve.body import parse_model, read_body
from voicedeploy.serve.guests import to_its_release
from voicedeploy.serve.peers import Peers
from voicedeploy.serve.refusal import Refusal, unknown_session
from voicedeploy.serve.requests import CandidatesRequest, OfferRequest, StartRequest, speaks
from voicedeploy.serve.upgrade import Taken
from voicedeploy.serve.upstream.front import UpstreamFront

DRAINING_RETRY_S = 2.0
# What becomes part of an address.
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{7,63}")


class UpstreamCalls:
    def __init__(self, front: UpstreamFront, door: Doorkeeper, peers: Peers) -> None:
        self._front = front
        self._door = door
        self._peers = peers

    def lines(self) -> list[Route]:
        return []

    async def start(self, request: Request) -> Response:
        wanted = parse_model(StartRequest, await read_body(request))
        return json_answer(await self._begin(request, wanted.transport, wanted.body))

    async def bare_offer(self, request: Request) -> Response:
        body = await read_body(request)
        offer = parse_model(OfferRequest, body)
        if offer.pc_id:
            return await self._of_connection(request, body, offer.pc_id, offer.question())
        begun = await self._begin(request, "webrtc", {})
        id = str(begun.get("sessionId", ""))
        return json_answer(await self._offer("POST", id, offer.question()) | {"sessionId": id})

    async def bare_candidates(self, request: Request) -> Response:
        body = await read_body(request)
        wanted = parse_model(CandidatesRequest, body)
        return await self._of_connection(request, body, wanted.pc_id, wanted.model_dump())

    async def offer(self, request: Request) -> Response:
        body = await read_body(request)
        return await self._of_session(request, body, parse_model(OfferRequest, body).question())

    async def candidates(self, request: Request) -> Response:
        body = await read_body(request)
        return await self._of_session(request, body, parse_model(CandidatesRequest, body).model_dump())

    async def socket(self, request: Request) -> Response:
        """Of a call that began on an older release; the platform's own sockets are at the platform."""
        await to_its_release(self._peers, request, self._front.guests)
        return Taken()

    async def state(self, request: Request) -> Response:
        """How a call is, and its end: the platform tells that only to who holds its private key."""
        if answer := await self._peers.forward(request, b""):
            return answer
        raise Refusal(404, "elsewhere", "the call is the platform's, and ends when its client leaves")

    end = state

    async def _begin(self, request: Request, transport: str | None, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        """The token is spent before the platform is asked, so that it starts one call; refused, it is good again."""
        front, door = self._front, self._door
        caller = door.caller(request)
        door.may_start(caller)
        served = front.config.transport.kind
        speaks(served, transport)
        if front.draining:
            raise Refusal(503, "draining", "this release takes no new calls", retry_after_s=DRAINING_RETRY_S)
        door.started(caller)
        try:
            said = await front.platform.start(served, body)
        except BaseException:
            door.not_started(caller)
            raise
        if id := said.get("sessionId"):
            front.began(str(id), served)
        ice = said.get("iceConfig")
        if front.config.transport.relay_only and isinstance(ice, dict):
            said["iceConfig"] = {**ice, "iceTransportPolicy": "relay"}
        return said

    async def _of_session(self, request: Request, body: bytes, question: Mapping[str, Any]) -> Response:
        id = str(request.path_params["id"])
        if not _ID.fullmatch(id):
            raise unknown_session()
        if not self._front.knows(id) and (answer := await self._peers.forward(request, body)):
            return answer
        return json_answer(await self._offer(request.method, id, question))

    async def _of_connection(self, request: Request, body: bytes, pc_id: str, question: Mapping[str, Any]) -> Response:
        if id := self._front.by_pc(pc_id):
            return json_answer(await self._offer(request.method, id, question))
        if answer := await self._peers.forward(request, body):
            return answer
        raise unknown_session()

    async def _offer(self, method: str, id: str, question: Mapping[str, Any]) -> dict[str, Any]:
        said = await self._front.platform.offer(method, id, question)
        if pc_id := said.get("pc_id"):
            self._front.connected(id, str(pc_id))
        return said
