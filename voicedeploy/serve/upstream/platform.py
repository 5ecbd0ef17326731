"""The platform's side: a session is begun, and a client's offers are passed on."""

import time
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import JsonValue

from voicedeploy.serve.config import Upstream
from voicedeploy.serve.refusal import Refusal, wait_of

# A cold start is held by the platform until there is an agent: "around 10 seconds is a best case" (docs.pipecat.ai,
# 2026-08). The front's own limit for a request is a minute.
ANSWER_S = 45.0
BUSY_RETRY_S = 5.0
# What the platform says comes to strangers and into logs: no more of it than a line.
SAID_AT_MOST = 200


class Platform:
    def __init__(self, upstream: Upstream, key: str, *, region: str = "") -> None:
        """`region`: of rooms; "" leaves it to the platform."""
        self._upstream = upstream
        self._region = region
        self._key = key
        self._http = httpx.AsyncClient(timeout=ANSWER_S, headers={"Authorization": f"Bearer {key}"})

    async def start(self, transport: str, body: Mapping[str, JsonValue]) -> dict[str, Any]:
        """What `/start` answers. Raises `Refusal`."""
        wanted: dict[str, Any] = {"body": body} if body else {}
        match transport:
            case "daily":
                wanted["createDailyRoom"] = True
                if self._region:
                    wanted["dailyRoomProperties"] = {"geo": self._region}
            case "webrtc":
                wanted |= {"transport": transport, "enableDefaultIceServers": True}
            case _:
                wanted["transport"] = "websocket"
        return await self._ask("POST", "/start", wanted)

    async def offer(self, method: str, session: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Raises `Refusal`; `unknown-session` where the platform knows none of that id."""
        return await self._ask(method, f"/sessions/{session}/api/offer", question)

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, path: str, question: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        try:
            answer = await self._http.request(method, self._upstream.url + path, json=question)
        except httpx.HTTPError as error:
            waited_s = time.monotonic() - began
            raise self._down(
                f"{self._upstream.name} does not answer ({type(error).__name__}, {waited_s:.0f} s)"
            ) from error
        if not answer.is_success:
            raise self._explain(answer, path)
        try:
            said = answer.json()
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise self._down(f"{self._upstream.name} answers {path} with something that is no JSON object")
        return said

    def _explain(self, answer: httpx.Response, path: str) -> Refusal:
        name, status = self._upstream.name, answer.status_code
        if status == 429:
            return Refusal(
                503,
                "busy",
                f"{name} has no agent free",
                hint="try again when a call has ended, or raise pool.max there",
                retry_after_s=wait_of(answer.headers.get("retry-after", ""), BUSY_RETRY_S),
            )
        if status in (401, 403):
            return Refusal(
                502,
                "upstream-key",
                f"{name} does not accept the key",
                hint=f"voicedeploy secrets set {self._upstream.key}, then voicedeploy up",
            )
        if status == 404 and path != "/start":
            return Refusal(404, "unknown-session", f"no such call at {name}", hint="start a new one")
        if status == 404:
            return Refusal(
                502,
                "upstream-unknown",
                f"{name} has no such agent",
                hint=f"voicedeploy up --provider {name}",
            )
        if status < 500:
            return Refusal(400, "upstream-refused", f"{name} refuses ({status}): {self._said(answer)}")
        return self._down(f"{name} fails ({status}): {self._said(answer)}")

    def _down(self, message: str) -> Refusal:
        return Refusal(503, "upstream-down", message, hint="try again", retry_after_s=BUSY_RETRY_S)

    def _said(self, answer: httpx.Response) -> str:
        try:
            said = answer.json()
        except ValueError:
            said = {}
        text = said.get("error", "") if isinstance(said, dict) else ""
        if isinstance(text, dict):
            text = text.get("message", "")
        return str(text).replace(self._key, "…")[:SAID_AT_MOST]
