"""A stand-in for Daily's REST API: what its OpenAPI document of 2026 allows, and nothing else.

It holds no media, and no bot can join its rooms. Paying accounts' properties are refused, as for one that does not pay.
"""

import re
import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.serve.rooms.standin import Fields, StandIn, Wrong, only
from voicedeploy.serve.ways.livekit import signed

KEY = "daily-key-" + "0" * 54
DOMAIN = "30f866c3-9123-452a-8723-ff58322d09c5"

# docs.daily.co/openapi.json, `room-properties` and the meeting token's `properties`, without what we have no use for.
ROOM = {
    "nbf": int, "exp": int, "enable_people_ui": bool, "enable_prejoin_ui": bool, "enable_knocking": bool,
    "enable_screenshare": bool, "enable_chat": bool, "start_video_off": bool, "start_audio_off": bool,
    "eject_at_room_exp": bool, "eject_after_elapsed": int, "lang": str, "geo": str, "permissions": dict, "sip": dict,
}  # fmt: skip
PAID = {"max_participants", "enable_recording", "enable_dialout"}
TOKEN = {
    "room_name": str, "eject_at_token_exp": bool, "eject_after_elapsed": int, "nbf": int, "exp": int, "is_owner": bool,
    "user_name": str, "user_id": str, "start_video_off": bool, "start_audio_off": bool, "enable_prejoin_ui": bool,
    "permissions": dict,
}  # fmt: skip
REGIONS = {
    "af-south-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ap-south-1", "eu-central-1", "eu-west-2",
    "sa-east-1", "us-east-1", "us-west-2",
}  # fmt: skip


def invalid(info: str) -> Wrong:
    return Wrong(400, {"error": "invalid-request-error", "info": info})


@dataclass
class Daily(StandIn):
    tokens: list[Fields] = field(default_factory=list)

    @property
    def api(self) -> str:
        return f"{self.url}/v1"

    def routes(self) -> list[Route]:
        return [
            Route("/v1/rooms", self.handle(self._create), methods=["POST"]),
            Route("/v1/rooms/{name}", self.handle(self._delete), methods=["DELETE"]),
            Route("/v1/meeting-tokens", self.handle(self._token), methods=["POST"]),
        ]

    async def look(self, request: Request) -> None:
        await super().look(request)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            raise Wrong(400, {"error": "authorization-header-error", "info": "bad Authorization header format"})
        if key != KEY:
            raise Wrong(401, {"error": "authentication-error", "info": f"no such key {key}"})

    async def _create(self, request: Request) -> Response:
        said = only(await request.json(), {"name", "privacy", "properties"}, invalid)
        name = said.get("name", "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,41}", name):
            raise invalid(f"bad name {name!r}")
        if name in self.rooms:
            raise invalid(f"a room named {name} already exists")
        if said.get("privacy", "public") not in ("public", "private"):
            raise invalid("privacy")
        properties = _typed(said.get("properties", {}), ROOM)
        if properties.get("exp", time.time() + 1) <= time.time():
            raise invalid("exp is in the past")
        if properties.get("geo", "us-east-1") not in REGIONS:
            raise invalid("geo")
        self.made += 1
        self.rooms[name] = {
            "id": f"00000000-0000-4000-8000-{self.made:012}",
            "name": name,
            "api_created": True,
            "privacy": said.get("privacy", "public"),
            "url": f"https://stand-in.daily.co/{name}",
            "created_at": "2026-11-27T12:00:00.000Z",
            "config": properties,
        }
        return JSONResponse(self.rooms[name])

    async def _delete(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.rooms:
            raise Wrong(404, {"error": "not-found", "info": f"room {name} not found"})
        del self.rooms[name]
        return JSONResponse({"deleted": True, "name": name})

    async def _token(self, request: Request) -> Response:
        said = only(await request.json(), {"properties"}, invalid)
        properties = _typed(said.get("properties", {}), TOKEN)
        if properties.get("room_name") not in self.rooms:
            raise invalid("room_name: no such room")
        self.tokens.append(properties)
        claims = {
            "r": properties["room_name"],
            "d": DOMAIN,
            "iat": int(time.time()),
            "exp": properties.get("exp"),
            "o": properties.get("is_owner", False),
        }
        return JSONResponse({"token": signed(claims, KEY)})


def _typed(said: Fields, known: dict[str, type]) -> Fields:
    if paid := set(said) & PAID:
        raise invalid(f"your plan does not include {', '.join(sorted(paid))}")
    for name, value in only(said, set(known), invalid).items():
        if type(value) is not known[name]:
            raise invalid(f"{name}: {value!r}")
    return said
