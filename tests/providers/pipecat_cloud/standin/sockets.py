"""Media sockets: those of carriers and of anybody, each carried to the bot of the agent that has the session."""

import asyncio
import base64
import binascii
import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.providers.pipecat_cloud.standin.door import Door, Seen, as_json
from tests.providers.pipecat_cloud.standin.pool import Pool
from tests.providers.pipecat_cloud.standin.sessions import MOST_BODY, Sessions
from tests.providers.pipecat_cloud.standin.world import REGIONS, Agent, Refusal, Session, World

OPENINGS = {
    "twilio": ("connected", "start"),
    "telnyx": ("connected", "start"),
    "plivo": ("start",),
    "exotel": ("connected", "start"),
    "generic": (),
}
"""The first events of each carrier; nothing is asked of anybody else."""
HOST = "_pipecatCloudServiceHost"
"""Where Twilio, which sends no query, says whom it calls."""
PROTOCOL, BUSY, BROKEN = 1002, 1013, 1011
"""Close codes of RFC 6455 for what comes to light after the handshake."""
_OPENING_S = 5.0


class Sockets:
    def __init__(self, world: World, pool: Pool, door: Door, sessions: Sessions) -> None:
        self._world = world
        self._pool = pool
        self._door = door
        self._sessions = sessions

    def routes(self) -> list[WebSocketRoute]:
        paths = ("/ws/{kind}", "/ws/{kind}/{host}", "/ws/{kind}/{host}/{token}")
        return [WebSocketRoute(path, self._serve) for path in paths]

    async def _serve(self, socket: WebSocket) -> None:
        try:
            status = await self._call(socket)
        except Refusal as refusal:
            status = refusal.status
            await socket.send_denial_response(as_json(status, refusal.body))
        self._door.seen.append(Seen("session.socket", "GET", socket.url.path, status, "public"))

    async def _call(self, socket: WebSocket) -> int:
        kind, trap = socket.path_params["kind"], self._door.traps.take("session.socket")
        if trap:
            raise Refusal(trap.status, trap.error)
        if kind not in OPENINGS:
            raise Refusal(404, "Not found")
        host, query = socket.path_params.get("host", "") or socket.query_params.get("serviceHost", ""), _query(socket)
        if kind == "generic":
            session = await self._sessions.begin(*self._admitted(host, socket))
            await self._carry(socket, session, query, [])
            return 101
        admitted = None if kind == "twilio" and not host else self._admitted(host, socket)
        await socket.accept()
        try:
            opening = await _opening(socket, kind)
            session = await self._sessions.begin(*(admitted or self._admitted(_named(opening[-1]), socket)))
        except Refusal as refusal:
            await socket.close(BUSY if refusal.status == 429 else PROTOCOL, str(refusal))
            return refusal.status
        await self._carry(socket, session, query, opening)
        return 101

    def _admitted(self, host: str, socket: WebSocket) -> tuple[Agent, str, str]:
        """What a session begins with."""
        agent = self._agent(host, socket)
        return agent, "websocket", self._ticket(agent, socket)

    def _agent(self, host: str, socket: WebSocket) -> Agent:
        name, _, organization = host.partition(".")
        org = next((org for org in self._world.orgs if org.name == organization), None)
        if org is None:
            raise Refusal(404, f"Unknown service host: {host}")
        agent, region = self._world.own(name, org), socket.headers.get("host", "").partition(".")[0]
        if region in REGIONS and region != agent.region:
            raise Refusal(404, f"Agent {name} is not in {region}")
        return agent

    def _ticket(self, agent: Agent, socket: WebSocket) -> str:
        """The session that a token was made for; "" where none is needed."""
        if agent.socket_auth == "none":
            return ""
        header = socket.headers.get("authorization", "").removeprefix("Bearer ")
        token = header or socket.query_params.get("token", "") or socket.path_params.get("token", "")
        made = self._world.tokens.pop(token, None)
        if made is None or made.agent is not agent or made.until < self._world.now():
            raise Refusal(403, "Invalid or expired token")
        return made.session

    async def _carry(self, outer: WebSocket, session: Session, query: str, opening: list[str]) -> None:
        """Until either end hangs up; the agent is free then."""
        assert session.instance is not None
        status, head = "error", {"x-daily-session-id": session.id}
        try:
            url = f"{session.instance.url.replace('http:', 'ws:')}/ws{query}"
            async with connect(url, additional_headers=head, max_size=None, proxy=None, ping_interval=None) as inner:
                if not opening:
                    await outer.accept()
                for message in opening:
                    await inner.send(message)
                status = await _bridge(outer, inner)
        except (OSError, WebSocketException, RuntimeError):
            with suppress(RuntimeError):
                await outer.close(BROKEN)
        finally:
            self._pool.over(session, status)


def _query(socket: WebSocket) -> str:
    """What the bot is given of it."""
    body = socket.query_params.get("body", "")
    try:
        if len(base64.b64decode(body, validate=True)) > MOST_BODY["websocket"]:
            raise Refusal(413, "Request body too large")
    except binascii.Error as error:
        raise Refusal(400, "body is not base64") from error
    return f"?{urlencode({'body': body})}" if body else ""


async def _opening(socket: WebSocket, kind: str) -> list[str]:
    """The carrier's first messages, which are its protocol's or nothing begins."""
    found: list[str] = []
    for event in OPENINGS[kind]:
        with suppress(TimeoutError, KeyError, ValueError, AttributeError):
            async with asyncio.timeout(_OPENING_S):
                text = (await socket.receive())["text"]
            if json.loads(text).get("event") == event:
                found.append(text)
                continue
        raise Refusal(400, f"{kind} says {event} here")
    return found


def _named(start: str) -> str:
    """Whom Twilio calls."""
    return str(json.loads(start)["start"].get("customParameters", {}).get(HOST, ""))


async def _bridge(outer: WebSocket, inner: ClientConnection) -> str:
    """How the session ended."""

    async def inwards() -> str:
        while True:
            said: dict[str, Any] = dict(await outer.receive())
            if said["type"] == "websocket.disconnect":
                await inner.close()
                return "success"
            await inner.send(said["text"] if said.get("text") is not None else said["bytes"])

    async def outwards() -> str:
        with suppress(ConnectionClosed):
            while True:
                said = await inner.recv()
                await (outer.send_text(said) if isinstance(said, str) else outer.send_bytes(said))
        good = inner.close_code in (1000, 1001, 1005)
        await outer.close(1000 if good else BROKEN)
        return "success" if good else "error"

    ways = [asyncio.ensure_future(outwards()), asyncio.ensure_future(inwards())]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        ended = [way.result() for way in ways if way.done() and not way.exception()]
        return ended[0] if ended else "error"
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
