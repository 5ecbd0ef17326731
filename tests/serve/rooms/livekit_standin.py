"""A stand-in for the room service of a LiveKit server: Twirp's JSON, the fields of `livekit_room.proto`, and tokens
that are verified. It holds no media, and no bot can join its rooms."""

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.serve.rooms.standin import Fields, StandIn, Wrong, only

KEY = "APIstandin"
SECRET = "s" * 48

# Of livekit.CreateRoomRequest, those that a client may set; Twirp takes them in this spelling or in camelCase.
CREATE = {
    "name": str, "room_preset": str, "empty_timeout": int, "departure_timeout": int, "max_participants": int,
    "node_id": str, "metadata": str, "tags": dict, "egress": dict, "min_playout_delay": int, "max_playout_delay": int,
    "sync_streams": bool, "replay_enabled": bool, "agents": list,
}  # fmt: skip
GRANTS = {
    "roomCreate", "roomList", "roomRecord", "roomAdmin", "roomJoin", "room", "canPublish", "canSubscribe",
    "canPublishData", "canPublishSources", "canUpdateOwnMetadata", "ingressAdmin", "hidden", "recorder", "agent",
}  # fmt: skip


def malformed(text: str) -> Wrong:
    return Wrong(400, {"code": "malformed", "msg": text})


def unauthenticated(text: str) -> Wrong:
    return Wrong(401, {"code": "unauthenticated", "msg": text})


def verified(token: str) -> Fields:
    """The claims of an access token, checked as LiveKit's own verifier does. Raises `Wrong`."""
    try:
        head, body, signature = token.split(".")
        header, claims = (json.loads(_decoded(part)) for part in (head, body))
        wanted = hmac.digest(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256)
        signed = hmac.compare_digest(_decoded(signature), wanted)
    except ValueError:
        raise unauthenticated("not a token") from None
    if header != {"alg": "HS256", "typ": "JWT"} or not signed:
        raise unauthenticated("signature")
    if claims.get("iss") != KEY or not claims.get("exp", 0) > time.time() or claims.get("nbf", 0) > time.time():
        raise unauthenticated("issuer or time")
    grant = only(claims.get("video"), GRANTS, unauthenticated)
    if grant.get("roomJoin") and not (grant.get("room") and claims.get("sub")):
        raise unauthenticated("a token to join needs a room and an identity")
    return dict(claims)


def _decoded(part: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", part):
        raise ValueError(part)
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@dataclass
class LiveKit(StandIn):
    def routes(self) -> list[Route]:
        return [
            Route("/twirp/livekit.RoomService/CreateRoom", self.handle(self._create), methods=["POST"]),
            Route("/twirp/livekit.RoomService/DeleteRoom", self.handle(self._delete), methods=["POST"]),
        ]

    async def look(self, request: Request) -> None:
        await super().look(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise unauthenticated("no token")
        if not verified(token)["video"].get("roomCreate"):
            raise Wrong(403, {"code": "permission_denied", "msg": "permissions denied"})
        if request.headers.get("content-type") != "application/json":
            raise Wrong(404, {"code": "bad_route", "msg": "unexpected Content-Type"})

    async def _create(self, request: Request) -> Response:
        said = only(await request.json(), set(CREATE), malformed)
        for name, value in said.items():
            if type(value) is not CREATE[name]:
                raise malformed(f"{name}: {value!r}")
        # The server answers with the room that is there already.
        if said["name"] not in self.rooms:
            self.made += 1
            self.rooms[said["name"]] = {**said, "sid": f"RM_{self.made}", "num_participants": 0}
        return JSONResponse(self.rooms[said["name"]])

    async def _delete(self, request: Request) -> Response:
        said = only(await request.json(), {"room"}, malformed)
        if said.get("room") not in self.rooms:
            raise Wrong(404, {"code": "not_found", "msg": "requested room does not exist"})
        del self.rooms[said["room"]]
        return JSONResponse({})
