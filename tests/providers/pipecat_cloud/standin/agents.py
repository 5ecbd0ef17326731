"""Agents: what is wanted of them, and what is shown."""

from typing import Any

from starlette.routing import Route

from tests.providers.pipecat_cloud.standin.door import Answer, Ask, Door
from tests.providers.pipecat_cloud.standin.images import Image
from tests.providers.pipecat_cloud.standin.pool import Pool
from tests.providers.pipecat_cloud.standin.world import (
    PROFILES,
    REGIONS,
    Agent,
    Organization,
    Refusal,
    Release,
    Wants,
    World,
    stamp,
)

_USUAL_MAX = 10


class Agents:
    def __init__(self, world: World, pool: Pool) -> None:
        self._world = world
        self._pool = pool

    def routes(self, door: Door) -> list[Route]:
        one = "/agents/{agent}"
        return [
            door.route("GET", "/agents", "agent.list", self.list),
            door.route("POST", "/agents", "agent.create", self.create),
            door.route("GET", one, "agent.get", self.get),
            door.route("POST", one, "agent.update", self.update),
            door.route("DELETE", one, "agent.delete", self.delete),
            door.route("GET", f"{one}/logs", "log.read", self.logs),
            door.route("GET", "/regions", "regions", self.regions),
            door.route("GET", "/properties", "properties.get", self.properties),
        ]

    # --- looking ------------------------------------------------------------------------------------

    async def list(self, ask: Ask) -> Answer:
        seen = self._world.now() - self._world.settings.lag_s
        rows = [
            {
                "id": agent.id,
                "name": agent.name,
                "region": agent.region,
                "desiredDeploymentId": agent.wanted(seen).id,
                "reconciledDeploymentId": agent.reconciled,
                "organizationId": agent.org.id,
                "createdAt": self._world.stamp(agent.born),
                "updatedAt": self._world.stamp(agent.updated),
                "deletedAt": None,
            }
            for agent in self._world.agents.values()
            if agent.org is ask.org and agent.born <= seen and ask.query.get("region", agent.region) == agent.region
        ]
        return 200, {"services": rows}

    async def get(self, ask: Ask) -> Answer:
        agent = self._world.agent(ask.path["agent"], ask.org)
        return 200, self.shown(agent, lag_s=self._world.settings.lag_s)

    async def regions(self, ask: Ask) -> Answer:
        return 200, {"regions": [{"code": code, "display_name": name} for code, name in REGIONS.items()]}

    async def properties(self, ask: Ask) -> Answer:
        return 200, {"properties": {"defaultRegion": ask.org.region}}

    async def logs(self, ask: Ask) -> Answer:
        agent, query = self._world.agent(ask.path["agent"], ask.org), ask.query
        start, end = int(query.get("startTime", 0)) / 1000, int(query.get("endTime", 10**15)) / 1000
        found = [
            line
            for line in agent.log
            if query.get("deploymentId", line["deploymentId"]) == line["deploymentId"]
            and query.get("sessionId", line["session"]) == line["session"]
            and query.get("query", "") in line["log"]
            and start <= round(line["at"], 3) <= end
        ]
        if query.get("order", "desc") == "desc":
            found.reverse()
        skip, most = int(query.get("offset", 0)), int(query.get("limit", 10))
        page = [
            {"log": line["log"], "timestamp": stamp(round(line["at"], 3)), "deploymentId": line["deploymentId"]}
            for line in found[skip : skip + most]
        ]
        return 200, {"total": {"value": len(found), "relation": "eq"}, "logs": page}

    # --- changing -----------------------------------------------------------------------------------

    async def create(self, ask: Ask) -> Answer:
        body, name = ask.body, ask.body["serviceName"]
        region = body.get("region") or ask.org.region
        if name in self._world.agents:
            raise Refusal(400, f"Agent name '{name}' is already in use")
        if region not in REGIONS:
            raise Refusal(400, f"Invalid region: {region}")
        scaling = body.get("autoScaling", {})
        agent = Agent(name, ask.org, region, *self._scaled(scaling, 0, _USUAL_MAX), born=self._world.now())
        usual = Wants("", "", "", "agent-1x", 7200, None)
        release = self._release(ask.org, region, self._wants(ask, usual))
        self._world.agents[name] = agent
        self._deploy(agent, release)
        return 200, self.shown(agent)

    async def update(self, ask: Ask) -> Answer:
        agent = self._world.own(ask.path["agent"], ask.org)
        wants = self._wants(ask, agent.newest.wants)
        scaling = self._scaled(ask.body.get("autoScaling", {}), agent.min, agent.max)
        # As the platform has it: the same tag, a new secret value or another scaling alone replace nothing.
        forced = ask.body.get("forceRedeploy")
        release = self._release(ask.org, agent.region, wants) if forced or wants != agent.newest.wants else None
        agent.min, agent.max = scaling
        agent.updated = self._world.now()
        if release is not None:
            self._deploy(agent, release)
        return 200, self.shown(agent)

    async def delete(self, ask: Ask) -> Answer:
        agent = self._world.own(ask.path["agent"], ask.org)
        agent.deleted = True
        self._world.gone.append(self._world.agents.pop(agent.name))
        return 200, {"status": "OK"}

    def _scaled(self, asked: dict[str, Any], least: int, most: int) -> tuple[int, int]:
        least, most = asked.get("minAgents", least), asked.get("maxAgents", most)
        if not 0 <= least <= most or not 1 <= most <= self._world.settings.limit:
            raise Refusal(400, f"autoScaling: {least} to {most}, and no more than {self._world.settings.limit}")
        return least, most

    def _wants(self, ask: Ask, before: Wants) -> Wants:
        body = ask.body
        image = body.get("image", before.image)
        if "image" in body and "buildId" in body:
            raise Refusal(400, "image and buildId exclude each other")
        if build_id := body.get("buildId"):
            build = self._world.builds.get(build_id)
            if build is None or build.org is not ask.org or build.status != "success":
                raise Refusal(400, f"Build {build_id} is not there, or did not succeed")
            image = build.uri
        if not image:
            raise Refusal(400, "image or buildId is needed")
        if body.get("agentProfile", "agent-1x") not in PROFILES:
            raise Refusal(400, "unknown agentProfile")
        return Wants(
            image,
            body.get("secretSet", before.secret_set),
            body.get("imagePullSecretSet", before.pull_set),
            body.get("agentProfile", before.profile),
            body.get("maxSessionDuration", before.max_session_s),
            body["krispViva"].get("audioFilter") if "krispViva" in body else before.krisp,
        )

    def _release(self, org: Organization, region: str, wants: Wants) -> Release:
        env: dict[str, str] = {}
        for name in filter(None, (wants.secret_set, wants.pull_set)):
            found = self._world.secrets.get(name)
            if found is None or found.org is not org:
                raise Refusal(404, f"Secret set '{name}' not found")
            if found.region != region:
                raise Refusal(400, f"Secret set '{name}' is in {found.region}, and the agent in {region}")
            if self._world.status(found) != "ready":
                raise Refusal(409, f"Secret set '{name}' is not yet ready")
            if name == wants.secret_set:
                env = dict(found.values)
        return Release(wants, self._image(wants.image), env, self._world.now())

    def _image(self, reference: str) -> Image | None:
        built = next((build.image for build in self._world.builds.values() if build.uri == reference), None)
        return built or self._world.images.get(reference)

    def _deploy(self, agent: Agent, release: Release) -> None:
        agent.releases.append(release)
        agent.desired.append((self._world.now(), release.id))
        agent.updated = self._world.now()
        self._pool.spawn(self._pool.roll_out(agent, release))

    # --- what is shown ------------------------------------------------------------------------------

    def shown(self, agent: Agent, *, lag_s: float = 0.0) -> dict[str, Any]:
        wanted = agent.wanted(self._world.now() - lag_s)
        live = agent.serving
        available = live is not None and live.phase == "Active"
        ready = available and live is wanted
        before = (
            live if live is not wanted else next((r for r in reversed(agent.releases) if r.phase == "Draining"), None)
        )
        return {
            "name": agent.name,
            "region": agent.region,
            "ready": ready,
            "available": available,
            "createdAt": self._world.stamp(agent.born),
            "updatedAt": self._world.stamp(agent.updated),
            "desiredDeploymentId": wanted.id,
            "activeDeploymentId": live.id if live else "",
            "reconciledDeploymentId": agent.reconciled,
            "activeDeploymentReady": ready,
            "autoScaling": {"minReplicas": agent.min, "maxReplicas": agent.max},
            "activeSessionCount": len(agent.active()),
            "deployment": {
                "id": wanted.id,
                "manifest": self._manifest(agent, wanted),
                "serviceId": agent.id,
                "createdAt": self._world.stamp(wanted.created),
                "updatedAt": self._world.stamp(wanted.created),
            },
            "agentProfile": wanted.wants.profile,
            "krispViva": {"audioFilter": wanted.wants.krisp},
            "currentRevision": self._revision(wanted),
            "previousRevision": self._revision(before) if before else None,
        }

    def _manifest(self, agent: Agent, release: Release) -> dict[str, Any]:
        wants = release.wants
        cpu, memory = PROFILES[wants.profile]
        named = {"namespace": agent.org.name} if self._world.settings.namespaces else {}
        return {
            "apiVersion": "pipecat.daily.co/v1",
            "kind": "PipecatService",
            "metadata": {"name": agent.name, **named},
            "spec": {
                "dailyNodeType": "arm",
                "image": wants.image,
                "autoScaling": {"minReplicas": agent.min, "maxReplicas": agent.max},
                "imagePullSecretName": wants.pull_set,
                "envFromSecretNames": [wants.secret_set] if wants.secret_set else [],
                "resources": {"cpu": cpu, "memory": memory},
                "maxSessionDurationSeconds": wants.max_session_s,
            },
        }

    def _revision(self, release: Release) -> dict[str, Any]:
        ready = sum(instance.ready for instance in release.alive())
        state = "running" if any(release.alive()) else "terminated" if release.exit_code is not None else "waiting"
        health: dict[str, Any] = {
            "ready": ready > 0,
            "state": state,
            "restartCount": release.restarts,
            "replicasStarted": release.started,
        }
        if release.reason:
            health |= {"reason": release.reason, "message": release.message}
        if release.exit_code is not None:
            health |= {"lastExitCode": release.exit_code, "lastTerminationReason": "Error"}
        return {
            "deploymentID": release.id,
            "phase": release.phase,
            "readyReplicas": ready,
            "phaseStartedAt": self._world.stamp(release.phase_at),
            "health": health,
            "hasInfrastructureIssue": False,
        }
