"""The whole stand-in, in a thread of its own; the test talks to it over loopback, and looks into it."""

import asyncio
import secrets
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from voicedeploy_providers.fly.api import Places

from tests.oci import Registry
from tests.providers.fly.standin.apps import Apps
from tests.providers.fly.standin.contract import Contract
from tests.providers.fly.standin.door import Door, Seen
from tests.providers.fly.standin.ground import Ground
from tests.providers.fly.standin.images import Images
from tests.providers.fly.standin.limits import Limits
from tests.providers.fly.standin.machine import Machine
from tests.providers.fly.standin.machines import Machines
from tests.providers.fly.standin.proxy import Edge, stop_the_idle
from tests.providers.fly.standin.settings import Settings
from tests.providers.fly.standin.udp import Address, Forwarder
from tests.providers.fly.standin.world import App, World
from tests.providers.standins.clock import Clock
from tests.providers.standins.traps import Trap, Traps

T = TypeVar("T")
_PUBLIC = 443


class Standin:
    """`with Standin() as fly:`, and nothing of it is left afterwards.

    `token` is of the organization `personal`; `tokens` has all. `settings` may be changed at any time.
    """

    def __init__(self, settings: Settings | None = None, ground: Ground | None = None) -> None:
        self.settings = settings or Settings()
        self._ground = ground or Ground()
        self.clock = Clock()
        self.token = f"fm2_{secrets.token_urlsafe(24)}"
        self.tokens = {f"FlyV1 {self.token}": "personal"}
        self._traps = Traps()
        self._world = World(self.clock, self.settings, self._ground, self._may_push)
        self._udp = Forwarder(self._world)
        limits = Limits(self.clock.monotonic)
        self._door = Door(self._world, self.tokens, self._traps, Contract.find(), limits)
        self._edges: dict[tuple[str, int], Edge] = {}
        self._opening = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fly-standin", daemon=True)
        self._settles: set[asyncio.Task[None]] = set()
        self._server: uvicorn.Server | None = None
        self._running: list[asyncio.Task[None]] = []
        self.url = ""

    # --- for the test -------------------------------------------------------------------------------

    @property
    def places(self) -> Places:
        """For a client in this process; each app's site is what `site` says."""
        return Places(flaps=self.url, api=self.url, registry=self.url)

    def environment(self, app: str = "") -> dict[str, str]:
        """For a client in another process; with `app`, the address of that app's site too."""
        return {
            "FLY_API_TOKEN": self.token,
            "FLY_FLAPS_BASE_URL": self.url,
            "FLY_API_BASE_URL": self.url,
            "FLY_REGISTRY_HOST": self.url,
            **({"FLY_SITE_URL": self.site(app)} if app else {}),
        }

    @property
    def images(self) -> Images:
        return self._world.images

    @property
    def registry(self) -> Registry:
        """What was pushed to it runs, if a machine's image is of it."""
        return self._world.registry

    @property
    def requests(self) -> list[Seen]:
        return self._door.seen

    @property
    def changes(self) -> list[Seen]:
        """The requests that changed something, or tried to."""
        return [request for request in self._door.seen if request.changes]

    @property
    def violations(self) -> list[str]:
        """What was not as the vendor describes it, in requests and answers; and where the stand-in itself failed."""
        return [*self._door.violations, *self._world.faults]

    @property
    def checked(self) -> bool:
        """Whether the vendor's description is there to be compared with."""
        return self._door.contract is not None

    @property
    def dropped(self) -> int:
        """UDP that machines sent from another address than they were asked at, or that is too large."""
        return self._udp.dropped

    @property
    def carried(self) -> Counter[Address]:
        """Packets of callers that reached a machine, by the address and port that they were sent to."""
        return self._udp.carried

    def trap(self, *traps: Trap) -> None:
        self._traps.set(*traps)

    def app(self, name: str) -> App:
        return self._world.apps[name]

    def machine(self, app: str, name: str) -> Machine:
        """Of those that are alive."""
        return next(m for m in self._world.apps[app].alive() if m.name == name)

    def site(self, app: str, port: int = _PUBLIC) -> str:
        """Where callers reach the app, also before there is one."""
        return self._do(self._edge(app, port))

    def crash(self, app: str, name: str) -> None:
        """The machine's program dies."""
        machine = self.machine(app, name)
        self._do(self._kill(machine))

    async def _kill(self, machine: Machine) -> None:
        assert machine.process is not None
        machine.process.send("SIGKILL")

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
        shutil.rmtree(self._world.folder)

    def _do(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(30)

    def _run(self) -> None:
        self._ground.enter()
        self._loop.run_forever()

    async def _open(self) -> None:
        self.clock.belongs_to(asyncio.get_running_loop())
        self._udp.open()
        routes = [
            *Apps(self._world, self._udp).routes(self._door),
            *Machines(self._world, self._changed).routes(self._door),
            Route("/api/v1/apps/{app}/logs", self._door.log),
            *self.registry.routes(),
        ]
        # asyncio sends small answers at once only on a socket that says it is TCP.
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        door.bind((self._ground.host, 0))
        door.listen()
        self.url = "http://{}:{}".format(*door.getsockname())
        app = Starlette(routes=routes)
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", access_log=False))
        serving = asyncio.create_task(self._server.serve([door]))
        self._running = [serving, asyncio.create_task(stop_the_idle(self._world))]

    async def _close(self) -> None:
        for app in self._world.apps.values():
            for machine in app.machines.values():
                await machine.close()
        for edge in self._edges.values():
            await edge.close()
        await asyncio.gather(*self._settles, return_exceptions=True)
        await self._udp.close()
        assert self._server is not None
        self._server.should_exit = True
        self._server.force_exit = True
        self._running[1].cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    def _changed(self) -> None:
        """Machines changed: packets may have another way."""
        task = asyncio.create_task(self._udp.settle())
        self._settles.add(task)
        task.add_done_callback(self._settles.discard)

    async def _edge(self, app: str, port: int) -> str:
        async with self._opening:
            if (app, port) not in self._edges:
                edge = self._edges[app, port] = Edge(self._world, app, port)
                await edge.open()
        return self._edges[app, port].url

    def _may_push(self, user: str, password: str) -> bool:
        return user == "x" and any(header.endswith(f" {password}") for header in self.tokens)
