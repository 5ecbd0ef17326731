"""Calls that begin one after another and then go on at once, from processes that do nothing else."""

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from voicedeploy.call import Callee, CallOptions, Run, Script, Turn, worker
from voicedeploy.call.audio import FRAME_S, Speech, silence
from voicedeploy.call.spread import began, end, next_event, stdin

PER_PROCESS = 4
"""Calls of one process: an interpreter that is hardly ever busy when a packet is due."""
READY_S = 60.0
LONGEST_S = 180.0


@dataclass(frozen=True)
class Calls:
    runs: tuple[Run, ...]
    caller_percent: float
    """Of one core, for each call while all are there; the callers' own need."""
    server_percent: float
    """The same of the server with all its processes; 0 if `server` was not given."""
    others_percent: float = 0.0
    """Of one core, what the rest of the machine did meanwhile."""


def silent_turn(seconds: float) -> Turn:
    """Holds a call open without a word."""
    count = round(seconds / FRAME_S)
    return Turn("", Speech((silence(),) * count, count - 1))


async def together(
    callee: Callee,
    script: Script,
    options: CallOptions,
    *,
    sessions: int,
    stagger_s: float,
    cores: Sequence[int] = (),
    server_cpu_s: Any = None,
    watch_s: float = 0.0,
) -> Calls:
    """`sessions` calls, each begun `stagger_s` after the one before, so that not all their turns end at once.

    CPU is watched for `watch_s` from a second after the last call has begun. Raises TimeoutError, StepFailed.
    """
    processes: list[Process] = []
    try:
        for _ in range(-(-sessions // PER_PROCESS)):
            processes.append(await began())
            if cores:
                os.sched_setaffinity(processes[-1].pid, cores)
        async with asyncio.timeout(READY_S):
            for process in processes:
                stdin(process).write(worker.job(callee, script, options))
            for process in processes:
                await next_event(process)
        numbers: dict[Process, list[int]] = {process: [] for process in processes}
        for number in range(sessions):
            process = processes[number % len(processes)]
            numbers[process].append(number)
        async with asyncio.timeout(LONGEST_S):
            collecting = [asyncio.ensure_future(_collect(process, len(mine))) for process, mine in numbers.items()]
            for number in range(sessions):
                stdin(processes[number % len(processes)]).write(worker.calls([number]))
                await asyncio.sleep(stagger_s)
            caller, server, others = await _watched(processes, server_cpu_s, watch_s) if watch_s else (0.0, 0.0, 0.0)
            runs: dict[int, Run] = {}
            for done in await asyncio.gather(*collecting):
                runs |= done
        return Calls(tuple(runs[number] for number in sorted(runs)), caller / sessions, server / sessions, others)
    finally:
        for process in processes:
            await end(process)


async def _watched(processes: Sequence[Process], server_cpu_s: Any, watch_s: float) -> tuple[float, float, float]:
    callers = [psutil.Process(process.pid) for process in processes]

    def used() -> tuple[float, float, float, float]:
        machine = psutil.cpu_times()
        times = [caller.cpu_times() for caller in callers]
        return (
            asyncio.get_running_loop().time(),
            sum(one.user + one.system for one in times),
            server_cpu_s() if server_cpu_s else 0.0,
            machine.user + machine.nice + machine.system,
        )

    await asyncio.sleep(1)
    before = used()
    await asyncio.sleep(watch_s)
    after = used()
    passed, caller, server, machine = (b - a for a, b in zip(before, after, strict=True))
    return 100 * caller / passed, 100 * server / passed, 100 * (machine - caller - server) / passed


async def _collect(process: Process, count: int) -> dict[int, Run]:
    done: dict[int, Run] = {}
    while len(done) < count:
        event = await next_event(process)
        if "run" in event:
            done[event["call"]] = worker.RUN.validate_python(event["run"])
    return done
