"""What stands before an app: one listener for each of its ports, which balances, replays, starts and stops machines."""

import asyncio
import time
import uuid
from contextlib import suppress
from typing import Any

from tests.providers.fly.standin.head import Head, read_body
from tests.providers.fly.standin.machine import Machine
from tests.providers.fly.standin.world import App, World

_LONGEST_REPLAY = 1024 * 1024
_MOST_HOPS = 5
_USUAL_IDLE_S = 60
_USUAL_SOFT_LIMIT = 20
_PIECE = 65536


class _No(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Edge:
    """A port of an app, as callers reach it. TLS ends before it."""

    def __init__(self, world: World, app: str, port: int) -> None:
        self._world = world
        self._app = app
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._world.host, 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await Head.read(reader)
        if head.get("expect").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = head.without("expect")
        body = await read_body(head, reader)
        peer = writer.get_extra_info("peername")[0]
        forwarded = ", ".join(filter(None, (head.get("x-forwarded-for"), peer)))
        head = head.plus(
            fly_client_ip=peer,
            x_forwarded_for=forwarded,
            x_forwarded_proto="http",
            x_forwarded_port=self.url.rpartition(":")[2],
            fly_request_id=str(uuid.uuid4()),
            via="1.1 fly.io",
        )
        if not head.upgrades:
            head = head.plus(connection="close")
        try:
            await self._route(head, body, reader, writer)
        except _No as no:
            text = f"{no}\n".encode()
            answer = Head(f"HTTP/1.1 {no.status} no", [("content-length", str(len(text))), ("connection", "close")])
            writer.write(answer.bytes() + text)
            await writer.drain()

    async def _route(self, head: Head, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forced = head.get("fly-force-instance-id")
        preferred = head.get("fly-prefer-instance-id") or head.get("fly-prefer-instance")
        source = ""
        for _ in range(_MOST_HOPS):
            machine = await (self._exactly(forced) if forced else self._any(preferred, not_=source))
            machine.active += 1
            try:
                replay = await self._pass(machine, head, body, reader, writer)
            finally:
                machine.active -= 1
                machine.used_at = self._world.clock.monotonic()
            if not replay:
                return
            if len(body) > _LONGEST_REPLAY:
                raise _No(502, "a request of more than 1 MB is not replayed")
            source = machine.id
            forced, preferred = replay.get("instance", ""), replay.get("prefer_instance", "")
            told = f"instance={machine.id};region={machine.region};t={time.time_ns() // 1000}"
            head = head.plus(fly_replay_src=told + (f";state={replay['state']}" if "state" in replay else ""))
        raise _No(502, "replayed too often")

    async def _pass(
        self, machine: Machine, head: Head, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, str]:
        """Carries one request and its answer; what the machine says of a replay in place of an answer."""
        service = self._service(machine)
        assert service is not None
        port = machine.ports.get(service["internal_port"], service["internal_port"])
        try:
            there_in, there_out = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise _No(502, f"the machine {machine.id} does not listen on its port") from error
        try:
            there_out.write(head.bytes() + body)
            await there_out.drain()
            try:
                answer = await Head.read(there_in)
            except (OSError, asyncio.IncompleteReadError) as error:
                raise _No(502, f"the machine {machine.id} closed the connection") from error
            if said := answer.get("fly-replay"):
                return dict(part.strip().partition("=")[::2] for part in said.split(";"))
            ends = answer.status != 101
            shown = answer.plus(connection="close") if ends else answer
            writer.write(shown.without("fly-replay-cache").bytes())
            await _carry(reader, writer, there_in, there_out, self._idle_s(service), one_way=ends)
            return {}
        finally:
            there_out.close()
            with suppress(OSError):
                await there_out.wait_closed()

    # --- which machine ------------------------------------------------------------------------------

    async def _exactly(self, id: str) -> Machine:
        """Whom `fly-force-instance-id` or a replay names."""
        machine = next((m for m in self._machines() if m.id == id), None)
        if machine is None or self._service(machine) is None:
            raise _No(502, f"no machine {id} here")
        if machine.cordoned and not self._world.settings.cordoned_reachable:
            raise _No(502, f"the machine {id} is cordoned")
        if machine.state == "stopped" and self._starts(machine):
            await machine.launch("proxy")
        if machine.state != "started":
            raise _No(502, f"the machine {id} is {machine.state}")
        return await self._with_room([machine])

    async def _any(self, preferred: str, not_: str) -> Machine:
        deadline = time.monotonic() + self._world.settings.queue_s
        while True:
            serving = [m for m in self._machines() if self._service(m) and m.healthy and not m.cordoned]
            serving = [m for m in serving if m.id != not_] or serving
            near = [m for m in serving if m.id == preferred]
            if near or serving:
                return await self._with_room(near or serving)
            asleep = next((m for m in self._machines() if m.state == "stopped" and self._starts(m)), None)
            if asleep:
                await asleep.launch("proxy")
            if time.monotonic() > deadline:
                raise _No(503, "no machine of this app is there for it")
            await asyncio.sleep(0.05)

    async def _with_room(self, machines: list[Machine]) -> Machine:
        deadline = time.monotonic() + self._world.settings.queue_s
        while True:
            free = [m for m in machines if m.active < self._limit(m, "hard_limit", 1 << 30)]
            if free:
                return min(free, key=lambda m: (m.active >= self._limit(m, "soft_limit", _USUAL_SOFT_LIMIT), m.active))
            if time.monotonic() > deadline:
                raise _No(503, "all machines are at their hard limit")
            await asyncio.sleep(0.05)

    def _machines(self) -> list[Machine]:
        app: App | None = self._world.apps.get(self._app)
        return list(app.alive()) if app else []

    def _service(self, machine: Machine) -> dict[str, Any] | None:
        return next(
            (s for s in machine.services("tcp") if any(p.get("port") == self._port for p in s.get("ports", ()))), None
        )

    def _starts(self, machine: Machine) -> bool:
        service = self._service(machine)
        return bool(service and service.get("autostart") and not machine.cordoned)

    def _limit(self, machine: Machine, which: str, usual: int) -> int:
        service = self._service(machine) or {}
        return int(service.get("concurrency", {}).get(which) or usual)

    def _idle_s(self, service: dict[str, Any]) -> float:
        port = next(p for p in service["ports"] if p.get("port") == self._port)
        return float(port.get("http_options", {}).get("idle_timeout") or _USUAL_IDLE_S)


async def stop_the_idle(world: World) -> None:
    """Autostop, until cancelled. It counts what the proxy carries: a machine with nothing but UDP is idle."""
    while True:
        await world.clock.pause(min(1.0, world.settings.idle_s / 4))
        now = world.clock.monotonic()
        for app in list(world.apps.values()):
            started = [m for m in app.alive() if m.state == "started"]
            for machine in started:
                services = machine.config.get("services", ())
                stops = any(s.get("autostop") in (True, "stop", "suspend") for s in services)
                least = max((s.get("min_machines_running", 0) for s in services), default=0)
                running = sum(m.state == "started" for m in started)
                idle = machine.active == 0 and now - machine.used_at > world.settings.idle_s
                if stops and idle and running > least:
                    machine.spawn(machine.stop(source="proxy"))
                    await asyncio.sleep(0)


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there_in: asyncio.StreamReader,
    there_out: asyncio.StreamWriter,
    idle_s: float,
    *,
    one_way: bool,
) -> None:
    """Bytes both ways until one side ends, or for `idle_s` there were none."""
    heard = time.monotonic()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        nonlocal heard
        with suppress(OSError):
            while piece := await source.read(_PIECE):
                heard = time.monotonic()
                sink.write(piece)
                await sink.drain()

    async def silence() -> None:
        left = idle_s
        while left > 0:
            await asyncio.sleep(left)
            left = heard + idle_s - time.monotonic()

    async def gone() -> None:
        with suppress(OSError):
            await reader.read()

    ways = [pump(there_in, writer), silence(), gone() if one_way else pump(reader, there_out)]
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
