"""How many instances there are, which release is live, and what a release comes to."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from tests.providers.pipecat_cloud.standin.instances import Instance
from tests.providers.pipecat_cloud.standin.world import Agent, Release, Session, World

_TICK_S = 0.05


class Pool:
    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        agents = [*self._world.agents.values(), *self._world.gone]
        await asyncio.gather(*(i.kill() for agent in agents for r in agent.releases for i in r.instances))

    # --- releases -----------------------------------------------------------------------------------

    async def roll_out(self, agent: Agent, release: Release) -> None:
        """Until the release is live, or has failed: then the one before goes on."""
        self._phase(release, "Creating")
        await self._world.clock.pause(self._world.settings.creating_s)
        agent.reconciled = release.id
        image = release.image
        if image is None:
            return self._fail(release, "PCC_IMAGE_NOT_FOUND", f"{release.wants.image}: not found")
        if image.architecture != "arm64":
            said = f"{release.wants.image} is for linux/{image.architecture}, and agents are linux/arm64"
            return self._fail(release, "PCC_INVALID_IMAGE_PLATFORM", said)
        self._phase(release, "Validating")
        until = time.monotonic() + self._world.settings.ready_most_s
        while not any(instance.ready for instance in release.alive()):
            if agent.newest is not release or agent.deleted:
                return self._phase(release, "Draining")
            if release.restarts > self._world.settings.restarts:
                return self._fail(release, "CrashLoopBackOff", release.message)
            if time.monotonic() > until:
                return self._fail(release, "NotReady", "readyz did not say yes in time")
            if not any(release.alive()):
                self.start(agent, release)
            await asyncio.sleep(_TICK_S)
        before = agent.serving
        self._phase(release, "Active")
        agent.serving = release
        if before is not None:
            self._phase(before, "Draining")
        return None

    def _phase(self, release: Release, phase: str) -> None:
        release.phase, release.phase_at = phase, self._world.now()

    def _fail(self, release: Release, reason: str, message: str) -> None:
        release.reason, release.message = reason, message
        self._phase(release, "Failed")

    # --- instances ----------------------------------------------------------------------------------

    def start(self, agent: Agent, release: Release) -> Instance:
        instance = Instance(self._world, agent, release)
        release.instances.append(instance)
        release.started += 1
        return instance

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            for agent in [*self._world.agents.values(), *self._world.gone]:
                self._settle(agent)
            await asyncio.sleep(_TICK_S)

    def _settle(self, agent: Agent) -> None:
        now, settings = self._world.now(), self._world.settings
        for session in agent.active():
            if now - session.created > session.release.wants.max_session_s and session.instance:
                session.status = "max_session_duration"
                self.leave(session.instance)
        live = agent.serving
        for release in agent.releases:
            over = agent.deleted or release.phase in ("Draining", "Failed")
            for instance in list(release.alive()):
                if over and not self._stale(agent, release) and instance.session is None and not instance.leaving:
                    self.leave(instance)
        if live is None or agent.deleted or live.phase != "Active":
            return
        alive = [instance for instance in live.alive() if not instance.leaving]
        busy = sum(instance.session is not None for instance in alive)
        wanted = min(max(agent.min, busy + (settings.buffer if busy or agent.min else 0)), agent.max)
        if len(alive) < wanted:
            self.start(agent, live)
        for instance in alive:
            if len(alive) > wanted and instance.free and now - instance.idle_since > settings.cooldown_s:
                alive.remove(instance)
                self.leave(instance)

    def _stale(self, agent: Agent, release: Release) -> bool:
        """Whether it goes on taking sessions though another one is live."""
        draining_s = self._world.now() - release.phase_at
        return release.phase == "Draining" and draining_s < self._world.settings.stale_s and not agent.deleted

    def leave(self, instance: Instance) -> None:
        instance.leaving = True
        self.spawn(instance.end())

    # --- sessions -----------------------------------------------------------------------------------

    def take(self, agent: Agent) -> tuple[Instance, bool] | None:
        """One that is free, or a new one, and whether it is new; None where there may be no more."""
        if len(agent.active()) >= agent.max:
            return None
        taking = [r for r in agent.releases if r is agent.serving or self._stale(agent, r)]
        free = next((i for r in taking for i in r.alive() if i.free), None)
        if free is not None:
            return free, False
        assert agent.serving is not None
        return self.start(agent, agent.serving), True

    async def ready(self, instance: Instance) -> bool:
        until = time.monotonic() + self._world.settings.ready_most_s
        while instance.alive and not instance.ready and time.monotonic() < until:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_TICK_S)
        return instance.ready

    def over(self, session: Session, status: str) -> None:
        instance, session.ended = session.instance, self._world.now()
        session.status = session.status or status
        session.instance = None
        if instance is None:
            return
        instance.session, instance.idle_since = None, self._world.now()
        if not self._world.settings.reuse and not instance.leaving:
            self.leave(instance)
