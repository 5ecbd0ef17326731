"""Calls to several servers in turn, so that what slows the machine for a while slows all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from benchmarks.outcome import tell
from benchmarks.servers import Server
from voicedeploy.call import CallOptions, Run, Script, call

PATIENCE = 3
"""Calls in a row in which not every turn is answered once: then the machine, or the bot, is not fit to be measured."""
T = TypeVar("T")


async def by_turns(
    servers: Sequence[Server], rounds: int, one: Callable[[Server], Awaitable[T]], told: Callable[[list[T]], float]
) -> dict[str, list[T]]:
    """What `one` is of each server in every round, by the server's name; `told`: ms to say of it after each."""
    for server in servers:  # whatever is done once only
        await one(server)
    done: dict[str, list[T]] = {server.name: [] for server in servers}
    for number in range(rounds):
        first = number % len(servers)
        for server in (*servers[first:], *servers[:first]):
            done[server.name].append(await one(server))
        tell(f"round {number + 1}: " + ", ".join(f"{name} {told(of):.0f} ms" for name, of in done.items()))
    return done


async def rested(server: Server, script: Script, options: CallOptions) -> Run:
    """A call once the one before is over. Raises `RuntimeError` if it is not heard."""
    await asyncio.to_thread(server.settle)
    await asyncio.sleep(0.5)  # the last call's end is over
    done = await call(server.callee, script, options)
    if not done.ok:
        raise RuntimeError(f"{server.name}: {done.error}")
    return done


async def answered(server: Server, options: CallOptions, counts: Callable[[Run], T | None]) -> T:
    """What `counts` makes of a call in which every turn was answered once; nothing of another."""
    for _ in range(PATIENCE):
        done = await rested(server, Script.demo(), options)
        if found := counts(done):
            return found
        tell(f"{server.name}: a call does not count: {[turn.voice_to_voice_ms for turn in done.turns]} ms")
    raise RuntimeError(f"{server.name}: in {PATIENCE} calls in a row not every turn was answered once")
