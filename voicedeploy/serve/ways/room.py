"""A room at a service where bot and caller meet: made for the call, gone with it.

What the services differ in, `daily` and `livekit` say; here is what their rooms have in common.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from pydantic import JsonValue

from voicedeploy.serve.child import ChildGone, Refused
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.refusal import Refusal, wait_of
from voicedeploy.serve.requests import StartRequest
from voicedeploy.serve.session import Session

ANSWER_S = 5.0
# A new connection costs more than the request; calls begin seconds or minutes apart.
KEPT_OPEN_S = 120.0
# A process that is born for the call loads the whole bot first.
JOIN_S = 60.0
# Clocks differ, and the end of a call takes some seconds.
MARGIN_S = 60.0
# Before the tries to delete a room: the service may be away for a moment, or want fewer requests.
WAITS_S = (0.0, 1.0, 2.0, 4.0, 8.0)
DELETED_WITHIN_S = 30.0
RETRY_S = 5.0
# The older of Daily's two limits for a name is 41 characters; 16 of them are random.
LONGEST_BOT = 24


@dataclass(frozen=True)
class Doors:
    """Two ways into one room: what the caller is told, and what the bot's process is."""

    caller: Mapping[str, JsonValue]
    bot: Mapping[str, JsonValue]


class Service(Protocol):
    async def open(self, room: str, *, opens_until: int, ends: int) -> Doors:
        """Makes the room `room`, for a call that is over at `ends`; its caller has to come before `opens_until`.
        Both in Unix time. Raises what httpx raises, `TimeoutError`, and `ValueError` for nonsense."""
        ...

    async def delete(self, room: str) -> None:
        """Raises as `open` does, but not for a room that is not there."""
        ...

    def explain(self, answer: httpx.Response) -> Refusal:
        """What an answer that is an error means, without anything secret in it."""
        ...

    async def close(self) -> None: ...


@dataclass
class _Room:
    name: str
    made: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing is under way any more that could still make it."""


class Rooms:
    """The way of a transport whose calls meet in rooms. `title` is the service's name in sentences."""

    def __init__(self, config: FrontConfig, log: Log, service: Service, title: str) -> None:
        self._config = config
        self._log = log
        self._service = service
        self._title = title
        self._rooms: dict[str, _Room] = {}
        self._joins: set[asyncio.Task[None]] = set()

    async def start(self, session: Session, wanted: StartRequest, outside: str) -> dict[str, JsonValue]:
        room = _Room(f"{self._config.bot.name[:LONGEST_BOT]}-{secrets.token_hex(8)}")
        self._rooms[session.id] = room
        limits = self._config.session
        now = time.time()
        began = time.monotonic()
        try:
            doors = await self._service.open(
                room.name,
                opens_until=round(now + limits.connect_timeout_s + limits.join_timeout_s),
                ends=round(now + limits.max_duration_s + MARGIN_S),
            )
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            refusal = self._explained(error)
            self._log.error("no-room", session=session.id, code=refusal.code, text=refusal.message)
            if refusal.code == "room-key":
                # Nothing was made, and nothing can be deleted.
                self._rooms.pop(session.id, None)
            raise refusal from error
        finally:
            room.made.set()
        self._log.info("room", session=session.id, room=room.name, ms=round((time.monotonic() - began) * 1000, 1))
        if session.verdict:
            raise ChildGone
        # The caller is answered meanwhile: it has a page, a microphone and a room to open, which takes longer.
        join = asyncio.create_task(self._send_in(session, doors.bot))
        self._joins.add(join)
        join.add_done_callback(self._joins.discard)
        return dict(doors.caller)

    async def end(self, session: Session) -> None:
        room = self._rooms.pop(session.id, None)
        if room is None:
            return
        said = "the front ends"
        try:
            await room.made.wait()
            said = await self._delete(room.name)
        finally:
            if said:
                self._log.warning("room-left", session=session.id, room=room.name, text=f"{said}; it expires by itself")

    async def close(self) -> None:
        for join in self._joins:
            join.cancel()
        await asyncio.gather(*self._joins, return_exceptions=True)
        await self._service.close()

    async def _delete(self, room: str) -> str:
        """Why it could not be deleted, after some tries."""
        said = ""
        try:
            async with asyncio.timeout(DELETED_WITHIN_S):
                for wait_s in WAITS_S:
                    await asyncio.sleep(wait_s)
                    try:
                        await self._service.delete(room)
                    except (httpx.HTTPError, TimeoutError, ValueError) as error:
                        refusal = self._explained(error)
                        said = refusal.message
                        await asyncio.sleep(refusal.retry_after_s or 0)
                    else:
                        return ""
        except TimeoutError:
            return said or "no answer in time"
        return said

    async def _send_in(self, session: Session, door: Mapping[str, JsonValue]) -> None:
        try:
            await session.reach({"op": "join", **door}, timeout_s=JOIN_S)
        except (ChildGone, Refused, Refusal, TimeoutError) as error:
            session.end("not-started", f"the bot was not sent into the room: {error}")

    def _explained(self, error: Exception) -> Refusal:
        match error:
            case httpx.HTTPStatusError(response=response) if response.status_code == 429:
                return Refusal(
                    503,
                    "room-limit",
                    f"{self._title} takes no more requests now",
                    hint="try again; if it happens often, ask them for a higher limit",
                    retry_after_s=wait_of(response.headers.get("retry-after", ""), RETRY_S),
                )
            case httpx.HTTPStatusError(response=response):
                return self._service.explain(response)
            case httpx.HTTPError() | TimeoutError():
                why = "no answer in time" if _late(error) else type(error).__name__
                return Refusal(
                    502, "room-unreachable", f"{self._title} cannot be reached: {why}", hint="try again in a moment"
                )
        return Refusal(502, "room-refused", f"{self._title} answered something else than a room", hint="try again")


def client(base_url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_keepalive_connections=8, keepalive_expiry=KEPT_OPEN_S)
    return httpx.AsyncClient(base_url=base_url, timeout=ANSWER_S, limits=limits)


async def ask(http: httpx.AsyncClient, method: str, path: str, body: JsonValue = None, *, token: str) -> JsonValue:
    """The answer's JSON. Raises what httpx raises, an error of the other side too, `TimeoutError`, `ValueError`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(ANSWER_S):
        answer = await http.request(method, path, headers=headers, json=body)
    answer.raise_for_status()
    said: JsonValue = answer.json()
    return said


def text(said: JsonValue, key: str) -> str:
    """Raises `ValueError`."""
    value = said.get(key) if isinstance(said, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"an answer without `{key}`")
    return value


def _late(error: Exception) -> bool:
    return isinstance(error, TimeoutError | httpx.TimeoutException)
