"""Agents that run: each a local process, for one session at a time."""

import asyncio
import os
import socket
from contextlib import suppress

import httpx

from tests.providers.fly.standin.process import Process
from tests.providers.pipecat_cloud.standin.images import Image
from tests.providers.pipecat_cloud.standin.world import Agent, Release, Session, World


class Instance:
    """`ready` once it takes sessions; `idle_since` is of the stand-in's clock."""

    def __init__(self, world: World, agent: Agent, release: Release) -> None:
        self.session: Session | None = None
        self.ready = False
        self.alive = True
        self.leaving = False
        self.idle_since = world.now()
        self.port = 0
        self.process: Process | None = None
        self._world = world
        self._agent = agent
        self.release = release
        self._over = asyncio.Event()
        self._life = asyncio.create_task(self._live())

    @property
    def free(self) -> bool:
        return self.alive and self.ready and self.session is None and not self.leaving

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def end(self, grace_s: float = 2.0) -> None:
        """As the platform does: it is asked, and killed when that takes too long."""
        self.leaving = True
        if self.process is not None and self.alive:
            await self.process.end("SIGTERM", asyncio.sleep(grace_s))
        await asyncio.gather(self._life, return_exceptions=True)

    async def kill(self) -> None:
        self.leaving = True
        if self.process is not None:
            await self.process.kill()
        else:
            self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        if self.process is not None:
            await self.process.close()

    async def _live(self) -> None:
        image = self.release.image
        assert image is not None
        self.port = _free_port()
        try:
            self.process = await Process.start(
                ("env", "-C", str(image.app), *image.argv), self._environment(image), self._said
            )
            watching = asyncio.create_task(self._watch())
            try:
                code = await self.process.ended()
            finally:
                self._over.set()
                await watching
            if not self.leaving:
                self.release.exit_code = code
                self.release.restarts += 1
                self.release.reason = "CrashLoopBackOff" if self.release.restarts > 1 else "Error"
        finally:
            self.alive = self.ready = False

    async def _watch(self) -> None:
        """Ends by itself: a client that is cancelled while it connects leaves a coroutine behind."""
        await self._pause(self._world.settings.slow_s)
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            while not self._over.is_set():
                with suppress(httpx.HTTPError):
                    self.ready = (await http.get(f"{self.url}/readyz")).status_code == 200
                await self._pause(0.05 if not self.ready else 0.5)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def _environment(self, image: Image) -> dict[str, str]:
        """Nothing of this computer's but what a program needs to start; the image's, the secrets, the platform's."""
        usual = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **usual,
            "PWD": str(image.app),
            **image.env,
            **self.release.env,
            "PORT": str(self.port),
            "HOLD_S": str(self._world.settings.hold_s),
            "ICE_CONFIG_URL": f"{self._world.url}/ice-servers",
        }

    def _said(self, line: str) -> None:
        session = self.session.id if self.session else ""
        self.release.message = line if not self.ready else self.release.message
        self._world.write(self._agent, self.release, session, line)


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port
