"""The other API, which the vendor's own tool speaks: the same platform by other paths. It has no description."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.providers.pipecat_cloud.standin.agents import Agents
from tests.providers.pipecat_cloud.standin.builds import Builds
from tests.providers.pipecat_cloud.standin.door import Answer, Ask, Door, as_json
from tests.providers.pipecat_cloud.standin.secrets import Secrets
from tests.providers.pipecat_cloud.standin.sessions import Sessions
from tests.providers.pipecat_cloud.standin.world import Refusal, World


class Tool:
    def __init__(self, world: World, agents: Agents, secrets: Secrets, builds: Builds, sessions: Sessions) -> None:
        self._world = world
        self._agents = agents
        self._secrets = secrets
        self._builds = builds
        self._sessions = sessions

    def routes(self, door: Door) -> list[Route]:
        def route(method: str, path: str, action: str, handler: object) -> Route:
            return door.route(method, path, f"tool.{action}", handler, "token")  # type: ignore[arg-type]

        service = "/services/{agent}"
        self._door = door
        return [
            Route("/v1/organizations", self.organizations),
            route("GET", "/services", "agent.list", self._agents.list),
            route("POST", "/services", "agent.create", self.create),
            route("PUT", "/services", "agent.update", self.update),
            route("GET", service, "agent.get", self.get),
            route("DELETE", service, "agent.delete", self._agents.delete),
            route("GET", f"{service}/logs", "log.read", self._agents.logs),
            route("GET", f"{service}/sessions", "session.list", self._sessions.list),
            route("GET", "/regions", "regions", self._agents.regions),
            route("GET", "/properties", "properties.get", self._agents.properties),
            route("GET", "/secrets", "secrets.list", self._secrets.list),
            route("GET", "/secrets/{set}", "secrets.get", self._secrets.get),
            route("PUT", "/secrets/{set}", "secrets.put", self.put),
            route("POST", "/builds/upload-url", "build.upload-url", self._builds.upload_url),
            route("POST", "/builds", "build.create", self._builds.create),
            route("GET", "/builds", "build.list", self._builds.list),
            route("GET", "/builds/{build}", "build.get", self._builds.get),
            route("GET", "/builds/{build}/logs", "build.log", self._builds.log),
        ]

    async def organizations(self, request: Request) -> Response:
        org = self._door.org(request, "token")
        if org is None:
            return as_json(401, {"error": "Unauthorized", "code": "401"})
        return as_json(200, {"organizations": [{"name": org.name, "verboseName": org.name.title()}]})

    async def create(self, ask: Ask) -> Answer:
        await self._agents.create(ask)
        self._sockets(ask)
        return 200, {"ok": True}

    async def update(self, ask: Ask) -> Answer:
        name = ask.body["serviceName"]
        before = self._world.own(name, ask.org).newest
        await self._agents.update(Ask(ask.org, {"agent": name}, {}, ask.body))
        self._sockets(ask)
        same = self._world.own(name, ask.org).newest is before
        return 200, {"ok": True, **({"warning": "nothing changed; use --force to redeploy"} if same else {})}

    def _sockets(self, ask: Ask) -> None:
        """Only here it can be said who may open them."""
        agent = self._world.own(ask.body["serviceName"], ask.org)
        agent.socket_auth = ask.body.get("websocketAuth", agent.socket_auth)

    async def get(self, ask: Ask) -> Answer:
        _, shown = await self._agents.get(ask)
        revision = shown["currentRevision"]
        failed = revision["phase"] == "Failed"
        health = revision["health"]
        errors = [{"code": health["reason"], "message": health["message"]}] if failed else []
        return 200, {"body": {**shown, "conditions": [], "errors": errors}}

    async def put(self, ask: Ask) -> Answer:
        """One at a time."""
        body = ask.body
        if body.get("isImagePullSecret"):
            return await self._secrets.put(ask)
        if "secretKey" not in body:
            raise Refusal(400, "secretKey is needed")
        rows = [{"secretKey": body["secretKey"], "secretValue": body["secretValue"]}]
        asked = {"secrets": rows, **({"region": body["region"]} if body.get("region") else {})}
        return await self._secrets.put(Ask(ask.org, ask.path, ask.query, asked))
