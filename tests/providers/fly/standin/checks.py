"""Health checks, really made."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.providers.fly.standin.durations import seconds

if TYPE_CHECKING:
    from tests.providers.fly.standin.machine import Machine
    from tests.providers.fly.standin.world import World


def named(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All checks of a configuration, with the names that Fly gives those of services."""
    found = list(config.get("checks", {}).items())
    services = config.get("services", ())
    number = 0
    for service in services:
        for check in service.get("checks", ()):
            port = check.get("port") or service["internal_port"]
            found.append((f"servicecheck-{number:02d}-{check['type']}-{port}", {**check, "port": port}))
            number += 1
    return found


async def keep(machine: "Machine", world: "World") -> None:
    """Makes each check in its interval, until cancelled."""
    await asyncio.gather(*(_keep(machine, world, name, check) for name, check in named(machine.config)))


async def _keep(machine: "Machine", world: "World", name: str, check: dict[str, Any]) -> None:
    every = world.settings.check_every_s or seconds(check.get("interval", ""), 15.0)
    timeout = seconds(check.get("timeout", ""), 2.0)
    while True:
        problem = "it never will" if machine.name in world.settings.sick else await _problem(machine, check, timeout)
        now = {"status": "critical" if problem else "passing", "output": problem or "ok"}
        if now != machine.checks.get(name):
            machine.checks[name] = now
        # While it has not passed yet it is looked at more often than Fly would, so that tests are short.
        await world.clock.pause(every if not problem else min(every, 0.2))


async def _problem(machine: "Machine", check: dict[str, Any], timeout_s: float) -> str:
    port = machine.ports.get(check["port"], check["port"])
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if check["type"] == "tcp":
                return ""
            request = f"{check.get('method', 'GET')} {check.get('path', '/')} HTTP/1.1\r\n"
            writer.write(f"{request}Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            status = (await reader.readline()).split(b" ", 2)
            return (
                "" if len(status) > 1 and status[1].startswith(b"2") else b" ".join(status).decode("utf-8", "replace")
            )
    except (OSError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
