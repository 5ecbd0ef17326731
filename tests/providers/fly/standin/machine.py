"""One machine: its states, and the process that it really is."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.providers.fly.standin import checks
from tests.providers.fly.standin.disk import Disk
from tests.providers.fly.standin.durations import seconds
from tests.providers.fly.standin.images import Image
from tests.providers.fly.standin.process import Process, run

if TYPE_CHECKING:
    from tests.providers.fly.standin.world import App, World

_LONGEST_STOP_S = 300.0
_USUAL_STOP_S = 5.0
_USUAL_RETRIES = 10
_RESTING = ("created", "stopped", "suspended", "failed")


class Machine:
    """`changed` is called after each change of state: proxies and forwarders look again."""

    def __init__(
        self, world: "World", app: "App", id: str, name: str, region: str, version: str, changed: Callable[[], None]
    ) -> None:
        self._world = world
        self._app = app
        self._changed = changed
        self.id = id
        self.name = name
        self.region = region
        self.config: dict[str, Any] = {}
        self.state = "created"
        self.version = version
        self.versions: list[tuple[str, dict[str, Any]]] = []
        self.cordoned = False
        self.min_secrets_version = 0
        self.created_at = self.updated_at = world.now()
        self.born = world.clock.monotonic()
        self.events: list[dict[str, Any]] = []
        self.lease: dict[str, Any] | None = None
        self.address = world.machine_v4()
        self.ports: dict[int, int] = {}
        """Where a port of its configuration really is on this machine."""
        self.process: Process | None = None
        self._given: dict[str, str] = {}
        self._image = Image(())
        self._disk = Disk(world.folder / id)
        self.checks: dict[str, dict[str, str]] = {}
        self.active = 0
        """Requests that the proxy has there now."""
        self.used_at = self.born
        self._crashes = 0
        self._asked_to_stop = False
        self._moved = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._checking: asyncio.Task[None] | None = None

    # --- states -------------------------------------------------------------------------------------

    def become(self, state: str, kind: str, source: str = "flyd", request: dict[str, Any] | None = None) -> None:
        self.state = state
        event = {
            "id": f"{len(self.events) + 1:026d}",
            "type": kind,
            "status": state,
            "source": source,
            "timestamp": int(self._world.clock.wall() * 1000),
            **({"request": request} if request else {}),
        }
        self.events.append(event)
        self.updated_at = self._world.now()
        self._moved.set()
        self._moved = asyncio.Event()
        self._changed()

    async def reaches(self, states: set[str], version: str, timeout_s: float) -> str:
        """The state of `states` that it is in, `replaced` for a version of before, "" after `timeout_s`."""
        wanted = states | ({*_RESTING, "started", "destroyed"} if "settled" in states else set())
        until = asyncio.create_task(self._world.clock.pause(timeout_s))
        try:
            while True:
                if version and version != self.version:
                    return "replaced"
                if self.state in wanted:
                    return self.state
                if until.done():
                    return ""
                moved = asyncio.create_task(self._moved.wait())
                await asyncio.wait({moved, until}, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
        finally:
            until.cancel()

    def spawn(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._seen_through(doing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _seen_through(self, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except Exception as error:
            self._world.faults.append(f"the stand-in failed with the machine {self.name}: {error!r}")
            raise

    # --- its life -----------------------------------------------------------------------------------

    async def launch(self, source: str = "user") -> None:
        """From rest to `started`, or `failed` where its image does not run."""
        self._asked_to_stop = False
        if self.state != "starting":
            self.become("starting", "start", source)
        await self._world.clock.pause(self._world.settings.starting_s)
        if self.state != "starting":
            return
        image = await asyncio.to_thread(self._world.images.find, self.config["image"])
        if self.state != "starting":
            return
        if image is None:
            self._say(f"could not pull {self.config['image']}: manifest unknown")
            self.become("failed", "launch")
            return
        init = self.config.get("init", {})
        argv = tuple(init.get("exec") or (*init.get("entrypoint", ()), *init.get("cmd", ()))) or image.argv
        secrets = self._world.boot_secrets(self._app, self.min_secrets_version)
        self._image, self._given = image, self._env(image, secrets)
        try:
            self._disk.prepare(self.config.get("files", ()), secrets, self.address)
            process = await Process.start(self._disk.starting(image, argv), self._given, self._say)
        except OSError as error:
            self._say(f"could not start {argv[0]}: {error}")
            self.become("failed", "launch")
            return
        if self.state != "starting":
            await process.kill()
            await process.close()
            return
        self.process = process
        self.used_at = self._world.clock.monotonic()
        self.checks = {
            name: {"status": "warning", "output": "not checked yet"} for name, _ in checks.named(self.config)
        }
        self.become("started", "start")
        self.spawn(self._watch(process))
        self._checking = asyncio.create_task(checks.keep(self, self._world))

    async def stop(self, by: str = "", grace: str = "", source: str = "user") -> None:
        """`by` and `grace` are of the request; otherwise they are its own."""
        if self.state in ("starting", "restarting"):
            self.become("stopped", "stop", source)
        elif (process := self.process) is not None:
            self.become("stopping", "stop", source)
            await self._end(process, self.config.get("stop_config", {}), by, grace)
            if self.state == "stopping":
                self.become("stopped", "exit", request=self._exit(process.code))

    def update(self, version: str, config: dict[str, Any], launch: bool) -> None:
        """A new version at once; the old one ends behind it, and the new one starts if the old one ran."""
        ran = self.process is not None or self.state in ("starting", "restarting")
        stop_config = self.config.get("stop_config", {})
        self.config, self.version = config, version
        self.versions.append((version, config))
        self.become("replacing", "update", "user")
        self.spawn(self._replace(stop_config, ran and launch))

    async def _replace(self, stop_config: dict[str, Any], launch: bool) -> None:
        if self.process is not None:
            await self._end(self.process, stop_config)
        if self.state != "replacing":
            return
        if launch:
            await self.launch()
        else:
            self.become("stopped", "update")

    async def _end(self, process: Process, stop_config: dict[str, Any], by: str = "", grace: str = "") -> None:
        self._asked_to_stop = True
        grace_s = min(seconds(grace or stop_config.get("timeout", ""), _USUAL_STOP_S), _LONGEST_STOP_S)
        await process.end(by or stop_config.get("signal", "SIGINT"), self._world.clock.pause(grace_s))
        await self._over(process)
        await self._world.clock.pause(self._world.settings.stopping_s)

    async def run(self, argv: tuple[str, ...], stdin: str, most_s: float) -> dict[str, Any]:
        """Beside its own program, and only while that runs."""
        assert self.process is not None
        command = self._disk.beside(self._image, self.process.pid, argv)
        code, out, err = await run(command, self._given, stdin.encode(), most_s)
        return {
            "exit_code": max(code, 0),
            "exit_signal": max(-code, 0),
            "stdout": out.decode("utf-8", "replace"),
            "stderr": err.decode("utf-8", "replace"),
        }

    async def destroy(self, source: str = "user") -> None:
        self.become("destroying", "destroy", source)
        if self.process is not None:
            self._asked_to_stop = True
            process = self.process
            await process.kill()
            await self._over(process)
        self.become("destroyed", "destroy")

    async def close(self) -> None:
        """The end of the test."""
        self._asked_to_stop = True
        for task in [*self._tasks, *([self._checking] if self._checking else [])]:
            task.cancel()
        await asyncio.gather(*self._tasks, *([self._checking] if self._checking else []), return_exceptions=True)
        if self.process is not None:
            process = self.process
            await process.kill()
            await self._over(process)

    async def _over(self, process: Process) -> None:
        self.process = None
        if self._checking is not None:
            self._checking.cancel()
            with suppress(asyncio.CancelledError):
                await self._checking
            self._checking = None
        await process.ended()
        await process.close()

    async def _watch(self, process: Process) -> None:
        code = await process.ended()
        if self._asked_to_stop or self.process is not process:
            return
        await self._over(process)
        self.become("stopping", "exit", request=self._exit(code))
        restart = self.config.get("restart", {})
        policy = restart.get("policy", "on-failure")
        self._crashes += 1
        again = policy == "always" or (
            policy == "on-failure" and code != 0 and self._crashes <= restart.get("max_retries", _USUAL_RETRIES)
        )
        if again:
            self.become("restarting", "restart")
            await self._world.clock.pause(self._world.settings.restart_pause_s)
            if self.state == "restarting":
                await self.launch("flyd")
        elif self.config.get("auto_destroy"):
            await self.destroy("flyd")
        else:
            self.become("stopped", "exit")

    def _exit(self, code: int) -> dict[str, Any]:
        return {
            "exit_event": {
                "exit_code": code if code >= 0 else 128 - code,
                "signal": -code if code < 0 else -1,
                "oom_killed": False,
                "requested_stop": self._asked_to_stop,
            },
            "restart_count": self._crashes,
        }

    # --- what its program gets ----------------------------------------------------------------------

    def _env(self, image: Image, secrets: dict[str, str]) -> dict[str, str]:
        given: dict[str, str] = dict(self.config.get("env", {}))
        self.ports = {}
        if (inside := given.get("PORT", "")).isdigit():
            # All machines share one host here, so the one port that programs take from outside is really another.
            self.ports[int(inside)] = _free_port()
            given["PORT"] = str(self.ports[int(inside)])
        guest = self.config.get("guest", {})
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": "/root" if image.user == 0 else "/",
            **image.env,
            **given,
            **secrets,
            "FLY_APP_NAME": self._app.name,
            "FLY_MACHINE_ID": self.id,
            "FLY_ALLOC_ID": self.id,
            "FLY_MACHINE_VERSION": self.version,
            "FLY_REGION": self.region,
            "FLY_PRIVATE_IP": self.private_ip,
            "FLY_IMAGE_REF": self.config["image"],
            "FLY_VM_MEMORY_MB": str(guest.get("memory_mb", 256)),
        }

    def _say(self, line: str) -> None:
        self._world.write(self._app, self, line)

    @property
    def private_ip(self) -> str:
        return f"fdaa:0:1:a7b:{self.id[:4]}:{self.id[4:8]}:{self.id[8:12]}:2"

    @property
    def healthy(self) -> bool:
        return self.state == "started" and all(check["status"] == "passing" for check in self.checks.values())

    def services(self, protocol: str) -> list[dict[str, Any]]:
        return [service for service in self.config.get("services", ()) if service["protocol"] == protocol]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
