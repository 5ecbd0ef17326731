"""LiveKit: a room on the user's server by its room service, and tokens that are made here
(https://docs.livekit.io/reference/other/roomservice-api, https://docs.livekit.io/frontends/authentication/tokens)."""

import base64
import hashlib
import hmac
import json
import time

import httpx
from pydantic import JsonValue

from voicedeploy.serve.config import FrontConfig, room_secrets
from voicedeploy.serve.log import Log
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.ways import Way
from voicedeploy.serve.ways.room import MARGIN_S, Doors, Rooms, ask, client

TITLE = "LiveKit"
URL, KEY, SECRET = "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"

SERVICE = "/twirp/livekit.RoomService"
# Of the tokens for the room service itself.
ADMIN_S = 60
# Bot and caller. Who comes again with the same token takes its own place.
PARTICIPANTS = 2
# After the last one has left; a front that died does not delete the room.
DEPARTURE_S = 20


def open_way(config: FrontConfig, log: Log) -> Way:
    return Rooms(config, log, LiveKit(config), TITLE)


class LiveKit:
    def __init__(self, config: FrontConfig) -> None:
        secrets = room_secrets(config)
        self._url, self._key, self._secret = (secrets[name] for name in (URL, KEY, SECRET))
        self._empty_s = round(config.session.connect_timeout_s + MARGIN_S)
        # ws:// becomes http://, and wss:// https://.
        self._http = client(f"http{self._url.removeprefix('http').removeprefix('ws')}")

    async def open(self, room: str, *, opens_until: int, ends: int) -> Doors:
        settings: dict[str, JsonValue] = {
            "name": room,
            "empty_timeout": self._empty_s,
            "departure_timeout": DEPARTURE_S,
            "max_participants": PARTICIPANTS,
        }
        await self._ask("CreateRoom", settings)
        caller = self._token("caller", {"roomJoin": True, "room": room}, min(opens_until, ends))
        # `agent`: as Pipecat's runner grants it, by which LiveKit's clients know that the bot has come.
        bot = self._token("bot", {"roomJoin": True, "room": room, "agent": True}, ends)
        return Doors(
            caller={"url": self._url, "token": caller},
            bot={"url": self._url, "room_name": room, "token": bot},
        )

    async def delete(self, room: str) -> None:
        try:
            await self._ask("DeleteRoom", {"room": room})
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise

    def explain(self, answer: httpx.Response) -> Refusal:
        if answer.status_code in (401, 403):
            names = f"{KEY} {SECRET}"
            hint = f"voicedeploy secrets set {names}, then voicedeploy up"
            return Refusal(502, "room-key", f"{TITLE} does not accept the API key and its secret", hint=hint)
        return Refusal(
            502,
            "room-refused",
            f"{TITLE} makes no room ({answer.status_code})",
            hint=f"see that {URL} is the address of a LiveKit server, and read its log",
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, body: dict[str, JsonValue]) -> None:
        token = self._token("", {"roomCreate": True}, time.time() + ADMIN_S)
        await ask(self._http, "POST", f"{SERVICE}/{method}", body, token=token)

    def _token(self, identity: str, grant: dict[str, JsonValue], expires: float) -> str:
        claims: dict[str, JsonValue] = {"iss": self._key, "exp": round(expires), "video": grant}
        if identity:
            claims |= {"sub": identity, "name": identity}
        return signed(claims, self._secret)


def signed(claims: dict[str, JsonValue], secret: str) -> str:
    """A JSON Web Token (RFC 7519) by HMAC with SHA-256."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    text = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{text}.{_base64url(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
