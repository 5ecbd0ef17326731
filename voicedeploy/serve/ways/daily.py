"""Daily: a private room by its REST API, and two tokens for it (https://docs.daily.co/reference/rest-api)."""

import asyncio

import httpx
from pydantic import JsonValue

from voicedeploy.serve.config import DAILY_API_URL, FrontConfig, room_secrets
from voicedeploy.serve.log import Log
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.ways import Way
from voicedeploy.serve.ways.room import Doors, Rooms, ask, client, text

TITLE = "Daily"
KEY = "DAILY_API_KEY"
API = "https://api.daily.co/v1"


def open_way(config: FrontConfig, log: Log) -> Way:
    return Rooms(config, log, Daily(config), TITLE)


class Daily:
    def __init__(self, config: FrontConfig) -> None:
        secrets = room_secrets(config)
        self._key = secrets[KEY]
        self._region = config.transport.region
        self._http = client(secrets.get(DAILY_API_URL, API))

    async def open(self, room: str, *, opens_until: int, ends: int) -> Doors:
        # No `max_participants`: that is for paying accounts. Nobody comes in without one of these two tokens.
        properties: dict[str, JsonValue] = {
            "exp": ends,
            "eject_at_room_exp": True,
            "start_video_off": True,
            "enable_prejoin_ui": False,
            **({"geo": self._region} if self._region else {}),
        }
        made = await self._ask("POST", "/rooms", {"name": room, "privacy": "private", "properties": properties})
        url = text(made, "url")
        caller, bot = await asyncio.gather(
            self._token({"room_name": room, "exp": min(opens_until, ends), "is_owner": False}),
            self._token({"room_name": room, "exp": ends, "is_owner": True}),
        )
        return Doors(caller={"dailyRoom": url, "dailyToken": caller}, bot={"room_url": url, "token": bot})

    async def delete(self, room: str) -> None:
        try:
            await self._ask("DELETE", f"/rooms/{room}")
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise

    def explain(self, answer: httpx.Response) -> Refusal:
        code, info = _said(answer)
        if answer.status_code in (401, 403) or code in ("authentication-error", "authorization-header-error"):
            return Refusal(
                502,
                "room-key",
                f"{TITLE} does not accept the API key",
                hint=f"voicedeploy secrets set {KEY}, then voicedeploy up",
            )
        info = info.replace(self._key, "…")[:200]
        said = ": ".join(part for part in (f"{TITLE} refuses ({answer.status_code})", code, info) if part)
        return Refusal(502, "room-refused", said, hint="https://status.daily.co, or the dashboard of your account")

    async def close(self) -> None:
        await self._http.aclose()

    async def _token(self, properties: dict[str, JsonValue]) -> str:
        return text(await self._ask("POST", "/meeting-tokens", {"properties": properties}), "token")

    async def _ask(self, method: str, path: str, body: JsonValue = None) -> JsonValue:
        return await ask(self._http, method, path, body, token=self._key)


def _said(answer: httpx.Response) -> tuple[str, str]:
    try:
        said = answer.json()
    except ValueError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    return str(said.get("error", "")), str(said.get("info", ""))
