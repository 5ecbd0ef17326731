"""Sessions: started with the public key, and reached through the proxy; looked at and stopped with the private one."""

import base64
import json
import secrets
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.providers.pipecat_cloud.standin.door import Answer, Ask, Door, Seen, as_json
from tests.providers.pipecat_cloud.standin.pool import Pool
from tests.providers.pipecat_cloud.standin.world import Agent, Refusal, Session, Ticket, World

MOST_BODY = {"websocket": 4096}
_USUAL_MOST = 2**20
_TICKET_S = 300.0


class Sessions:
    def __init__(self, world: World, pool: Pool, door: Door) -> None:
        self._world = world
        self._pool = pool
        self._door = door
        self._http = httpx.AsyncClient(trust_env=False, timeout=None)  # noqa: S113 - held for a session

    def routes(self) -> list[Route]:
        door, all_ = self._door, "/agents/{agent}/sessions"
        return [
            door.route("POST", "/{agent}/start", "session.start", self.start, "public"),
            Route(
                "/v1/public/{agent}/sessions/{session}/{path:path}",
                self.proxy,
                methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            ),
            door.route("GET", all_, "session.list", self.list),
            door.route("GET", f"{all_}/{{session}}", "session.get", self.get),
            door.route("DELETE", f"{all_}/{{session}}", "session.stop", self.stop),
            Route("/ice-servers", self.ice_servers),
        ]

    async def close(self) -> None:
        await self._http.aclose()

    # --- callers ------------------------------------------------------------------------------------

    async def start(self, ask: Ask) -> Answer:
        body = ask.body or {}
        agent = self._world.own(ask.path["agent"], ask.org)
        transport = body.get("transport") or ("daily" if body.get("createDailyRoom") else "")
        if len(json.dumps(body.get("body", {}))) > MOST_BODY.get(transport, _USUAL_MOST):
            raise Refusal(413, "Request body too large")
        if transport == "websocket":
            return 200, self._ticket(agent, body)
        session = await self.begin(agent, transport)
        self._pool.spawn(self._hold(session, body))
        answer: dict[str, Any] = {"sessionId": session.id}
        if transport == "webrtc" and body.get("enableDefaultIceServers"):
            answer["iceConfig"] = {"iceServers": self._world.settings.ice_servers}
        if body.get("createDailyRoom"):
            answer |= {
                "dailyRoom": f"https://{ask.org.name}.daily.co/{session.id[:8]}",
                "dailyToken": "of-the-stand-in",
            }
        return 200, answer

    async def begin(self, agent: Agent, transport: str, id_: str = "") -> Session:
        """On an agent that is free, or a new one; it is ready for its caller then."""
        if agent.serving is None or agent.serving.phase != "Active":
            raise Refusal(400, f"Agent {agent.name} is not ready", "PCC-1001")
        taken = self._pool.take(agent)
        if taken is None:
            full = Refusal(429, "Rate limit exceeded. Please try again later")
            full.body = {"status": 429, "code": "429", "message": str(full)}
            raise full
        instance, cold = taken
        session = Session(id_ or str(uuid4()), instance.release, self._world.now(), transport, cold)
        instance.session, session.instance = session, instance
        agent.sessions[session.id] = session
        if not await self._pool.ready(instance):
            self._pool.over(session, "failed_to_start")
            raise Refusal(500, "the agent did not start", "PCC_UNKNOWN_ERROR")
        session.start_s = self._world.now() - session.created
        return session

    def _ticket(self, agent: Agent, body: dict[str, Any]) -> dict[str, Any]:
        """Nothing runs before somebody comes with it."""
        if agent.socket_auth == "none" and "body" in body:
            raise Refusal(400, "body needs websocket_auth = token")
        token, session = secrets.token_urlsafe(32), str(uuid4())
        self._world.tokens[token] = Ticket(agent, session, self._world.now() + _TICKET_S)
        where = f"{self._world.url.replace('http:', 'ws:')}/ws/generic/{agent.name}.{agent.org.name}"
        said = {"body": base64.b64encode(json.dumps(body["body"]).encode()).decode()} if "body" in body else {}
        return {"sessionId": session, "token": token, "wsUrl": where, **said}

    async def _hold(self, session: Session, body: dict[str, Any]) -> None:
        assert session.instance is not None
        headers = {"x-daily-session-id": session.id, "x-daily-transport-type": session.transport}
        if body.get("createDailyRoom"):
            room = f"https://stand-in.daily.co/{session.id[:8]}"
            headers |= {"x-daily-room-url": room, "x-daily-room-token": "of-the-stand-in"}
        status = "error"
        with suppress(httpx.HTTPError):
            done = await self._http.post(f"{session.instance.url}/bot", json=body.get("body", {}), headers=headers)
            status = "success" if done.is_success else "error"
        self._pool.over(session, status)

    async def proxy(self, request: Request) -> Response:
        """Any path of the agent that has the session."""
        response = await self._proxied(request)
        self._door.seen.append(Seen("session.proxy", request.method, request.url.path, response.status_code, "public"))
        return response

    async def _proxied(self, request: Request) -> Response:
        org, path = self._door.org(request, "public"), request.path_params
        if org is None:
            return as_json(401, {"error": "Unauthorized", "code": "401"})
        try:
            session = self._world.own(path["agent"], org).sessions.get(path["session"])
        except Refusal as refusal:
            return as_json(refusal.status, refusal.body)
        if session is None or session.instance is None:
            return as_json(404, {"error": "Invalid or not-yet-ready session_id", "code": "404"})
        headers = {"x-daily-session-id": session.id, "content-type": request.headers.get("content-type", "")}
        url = f"{session.instance.url}/{path['path']}"
        try:
            answer = await self._http.request(request.method, url, content=await request.body(), headers=headers)
        except httpx.HTTPError as error:
            return as_json(500, {"error": f"the agent is gone: {type(error).__name__}", "code": "500"})
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def ice_servers(self, request: Request) -> Response:
        """What a bot asks its sidecar for."""
        return as_json(200, {"iceConfig": {"iceServers": self._world.settings.bot_ice_servers}})

    # --- the organization ---------------------------------------------------------------------------

    async def list(self, ask: Ask) -> Answer:
        agent, query = self._world.agent(ask.path["agent"], ask.org), ask.query
        status, kind = query.get("status", "all"), query.get("startType", "all")
        found = [
            session
            for session in reversed(agent.sessions.values())
            if query.get("deploymentId", session.release.id) == session.release.id
            and (status == "all" or (session.ended is None) == (status == "active"))
            and (kind == "all" or session.cold == (kind == "cold"))
        ]
        skip, most = int(query.get("offset", 0)), int(query.get("limit", 10))
        rows = [self._shown(agent, session) for session in found[skip : skip + most]]
        return 200, {"total_count": len(found), "sessions": rows}

    async def get(self, ask: Ask) -> Answer:
        agent, session = self._own(ask)
        return 200, self._shown(agent, session) | {"resourceMetrics": None, "meetingIds": []}

    async def stop(self, ask: Ask) -> Answer:
        _, session = self._own(ask)
        if session.instance is None:
            raise Refusal(404, "Session not found or already ended")
        session.status = "stopped"
        await session.instance.kill()
        self._pool.over(session, "stopped")
        return 200, {"status": "OK", "session_id": session.id}

    def _own(self, ask: Ask) -> tuple[Agent, Session]:
        agent = self._world.agent(ask.path["agent"], ask.org)
        session = agent.sessions.get(ask.path["session"])
        if session is None:
            raise Refusal(404, "Session not found")
        return agent, session

    def _shown(self, agent: Agent, session: Session) -> dict[str, Any]:
        shown = {
            "sessionId": session.id,
            "serviceId": agent.id,
            "organizationId": agent.org.id,
            "deploymentId": session.release.id,
            "botStartSeconds": round(session.start_s),
            "coldStart": session.cold,
            "completionStatus": session.status or None,
            "createdAt": self._world.stamp(session.created),
            "updatedAt": self._world.stamp(session.ended or session.created),
        }
        return shown | ({"endedAt": self._world.stamp(session.ended)} if session.ended is not None else {})
