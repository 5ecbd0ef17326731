"""UDP at an app's dedicated address: for each address and port one machine, and only the address is rewritten."""

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tests.providers.fly.standin.machine import Machine
from tests.providers.fly.standin.world import App, World

Address = tuple[str, int]
_HEADERS = 28
"""Bytes of IP and UDP."""


class Forwarder:
    """`settle` opens and closes what machines and addresses now ask for; `dropped` counts answers from elsewhere and
    packets that are too large, `carried` those of callers that reached a machine.

    It has a thread of its own: packets do not wait for what the API has to do.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fly-standin-udp", daemon=True)
        self._doors: dict[Address, _Door] = {}
        self._settling = asyncio.Lock()
        self.dropped = 0
        self.carried: Counter[Address] = Counter()

    def open(self) -> None:
        """In the network of the thread that calls."""
        self._thread.start()

    async def settle(self) -> None:
        await self._there(self._settle())

    async def close(self) -> None:
        await self._there(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, 10)
        self._loop.close()

    async def _there(self, doing: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, self._loop))

    async def _settle(self) -> None:
        async with self._settling:
            apps = list(self._world.apps.values())
            wanted = {(ip, port): app for app in apps for ip in app.v4() for port in self._ports(app)}
            for address in self._doors.keys() - wanted.keys():
                self._doors.pop(address).close()
            for address in wanted.keys() - self._doors.keys():
                await self._open(address, wanted[address])

    async def _close(self) -> None:
        for door in self._doors.values():
            door.close()
        self._doors.clear()
        await asyncio.sleep(0)

    def takes(self, app: App, port: int, before: Machine | None) -> Machine | None:
        """The one machine that gets the packets: the same as before for as long as it can."""
        able = [m for m in app.alive() if port in _declared(m) and m.state == "started" and self._open_to(m)]
        return before if before in able else min(able, key=lambda m: m.id, default=None)

    def fits(self, data: bytes) -> bool:
        fits = len(data) + _HEADERS <= self._world.settings.udp_mtu
        self.dropped += not fits
        return fits

    def _open_to(self, machine: Machine) -> bool:
        return not machine.cordoned or self._world.settings.cordoned_udp

    def _ports(self, app: App) -> set[int]:
        return {port for machine in app.alive() for port in _declared(machine)}

    async def _open(self, address: Address, app: App) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            _, door = await loop.create_datagram_endpoint(lambda: _Door(self, app, address), local_addr=address)
            self._doors[address] = door


def _declared(machine: Machine) -> set[int]:
    """Its UDP ports. One that is not the same inside and outside carries nothing."""
    return {
        service["internal_port"]
        for service in machine.services("udp")
        for port in service.get("ports", ())
        if port.get("port") == service["internal_port"]
    }


class _Door(asyncio.DatagramProtocol):
    """The outside of one address and port."""

    def __init__(self, forwarder: Forwarder, app: App, address: Address) -> None:
        self._forwarder = forwarder
        self._app = app
        self._address = address
        self._port = address[1]
        self._machine: Machine | None = None
        self._callers: dict[Address, _Caller] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        machine = self._forwarder.takes(self._app, self._port, self._machine)
        if machine is not self._machine:
            self._forget()
            self._machine = machine
        if machine is None or not self._forwarder.fits(data):
            return
        self._forwarder.carried[self._address] += 1
        caller = self._callers.get(addr)
        if caller is None:
            caller = self._callers[addr] = _Caller(self, addr, (machine.address, self._port))
            task = asyncio.create_task(caller.open(data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            caller.send(data)

    def answer(self, data: bytes, source: Address, caller: "_Caller") -> None:
        if source != caller.there:
            self._forwarder.dropped += 1
        elif self.transport is not None and self._forwarder.fits(data):
            self.transport.sendto(data, caller.addr)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._forget()
        if self.transport is not None:
            self.transport.close()

    def _forget(self) -> None:
        for caller in self._callers.values():
            caller.close()
        self._callers.clear()


class _Caller(asyncio.DatagramProtocol):
    """The inside, for one caller: the machine sees an address of its own for each."""

    def __init__(self, door: _Door, addr: Address, there: Address) -> None:
        self._door = door
        self.addr = addr
        self.there = there
        self._waiting: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, first: bytes) -> None:
        self._waiting.append(first)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        for data in self._waiting:
            transport.sendto(data, self.there)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        else:
            self._transport.sendto(data, self.there)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._door.answer(data, addr, self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
