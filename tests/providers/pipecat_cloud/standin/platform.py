"""The whole stand-in, in a thread of its own; the test talks to it over loopback, and looks into it."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from voicedeploy_providers.pipecat_cloud.api import Places, PrivateKey, PublicKey

from tests.providers.pipecat_cloud.standin.agents import Agents
from tests.providers.pipecat_cloud.standin.builds import Builds
from tests.providers.pipecat_cloud.standin.contract import Contract
from tests.providers.pipecat_cloud.standin.door import Door, Seen
from tests.providers.pipecat_cloud.standin.images import Image
from tests.providers.pipecat_cloud.standin.pool import Pool
from tests.providers.pipecat_cloud.standin.secrets import Secrets
from tests.providers.pipecat_cloud.standin.sessions import Sessions
from tests.providers.pipecat_cloud.standin.settings import Settings
from tests.providers.pipecat_cloud.standin.sockets import Sockets
from tests.providers.pipecat_cloud.standin.tool import Tool
from tests.providers.pipecat_cloud.standin.world import Agent, Organization, World
from tests.providers.standins.clock import Clock
from tests.providers.standins.traps import Trap, Traps

T = TypeVar("T")


class Standin:
    """`with Standin() as cloud:`, and nothing of it is left afterwards. `settings` may be changed at any time.

    `host` is the address that it is found at."""

    def __init__(self, settings: Settings | None = None, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self.settings = settings or Settings()
        self.clock = Clock(nap_s=0.05)
        self.world = World(self.clock, self.settings)
        self._traps = Traps()
        self._door = Door(self.world, self._traps, Contract.find())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pcc-standin", daemon=True)
        self._server: uvicorn.Server | None = None
        self._running: list[asyncio.Task[None]] = []

    # --- for the test -------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.world.url

    @property
    def org(self) -> Organization:
        return self.world.orgs[0]

    @property
    def places(self) -> Places:
        return Places(self.url)

    @property
    def private(self) -> PrivateKey:
        return PrivateKey.parse(self.org.private)

    @property
    def public(self) -> PublicKey:
        return PublicKey.parse(self.org.public)

    def environment(self) -> dict[str, str]:
        """For a client in another process."""
        return {
            "PIPECAT_API_HOST": self.url,
            "PIPECAT_CLOUD_PRIVATE_KEY": self.org.private,
            "PIPECAT_CLOUD_PUBLIC_KEY": self.org.public,
        }

    def tool_environment(self) -> dict[str, str]:
        """For the vendor's own tool."""
        return {
            "PIPECAT_API_HOST": self.url,
            "PIPECAT_TOKEN": self.org.token,
            "PIPECAT_ORG": self.org.name,
            "PIPECAT_DEFAULT_PUBLIC_KEY": self.org.public,
        }

    def push(self, reference: str, image: Image) -> None:
        """As to a registry that the platform may read; the same tag may be pushed again."""
        self.world.images[reference] = image

    def agent(self, name: str) -> Agent:
        return self.world.agents[name]

    def site(self, agent: str) -> str:
        """Whom to call, with the public key."""
        return self.places.agent(agent)

    @property
    def requests(self) -> list[Seen]:
        return self._door.seen

    @property
    def changes(self) -> list[Seen]:
        """The requests of an organization that changed something, or tried to; those of callers are none."""
        return self._door.changes

    @property
    def violations(self) -> list[str]:
        """What was not as the vendor describes it, in requests and in the stand-in's own answers."""
        return self._door.violations

    @property
    def checked(self) -> bool:
        """Whether the vendor's description is there to be compared with."""
        return self._door.contract is not None

    def mute(self, change: int | None) -> None:
        """From the change of this number on, counted from now, nobody is answered, though all is carried out; None ends
        that."""
        self._door.mute_at = None if change is None else len(self.changes) + change

    def trap(self, *traps: Trap) -> None:
        self._traps.set(*traps)

    # --- its life -----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        shutil.rmtree(self.world.folder)

    def _do(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(30)

    async def _open(self) -> None:
        self.clock.belongs_to(asyncio.get_running_loop())
        # asyncio sends small answers at once only on a socket that says it is TCP.
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        door.bind((self._host, 0))
        door.listen()
        self.world.url = "http://{}:{}".format(*door.getsockname())
        self._pool = Pool(self.world)
        agents, secrets = Agents(self.world, self._pool), Secrets(self.world)
        builds = Builds(self.world, self._pool, self._door)
        self._sessions = Sessions(self.world, self._pool, self._door)
        routes = [
            *Tool(self.world, agents, secrets, builds, self._sessions).routes(self._door),
            *agents.routes(self._door),
            *secrets.routes(self._door),
            *builds.routes(),
            *self._sessions.routes(),
            *Sockets(self.world, self._pool, self._door, self._sessions).routes(),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), log_config=None, lifespan="off", access_log=False, ws="websockets-sansio"
        )
        self._server = uvicorn.Server(config)
        self._running = [asyncio.create_task(self._server.serve([door])), asyncio.create_task(self._pool.keep())]

    async def _close(self) -> None:
        assert self._server is not None
        self._running[1].cancel()
        await self._pool.close()
        await self._sessions.close()
        self._server.should_exit = True
        self._server.force_exit = True
        await asyncio.gather(*self._running, return_exceptions=True)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
