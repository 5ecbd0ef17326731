"""Calls at once from processes of their own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any

import voicedeploy
from voicedeploy.call import worker
from voicedeploy.call.callee import Callee
from voicedeploy.call.options import CallOptions
from voicedeploy.call.progress import Count
from voicedeploy.call.run import Run
from voicedeploy.call.script import Script
from voicedeploy.errors import StepFailed

WORKER_READY_S = 60.0


async def spread(
    count: Count, target: Callee, script: Script, options: CallOptions, runs: int, sessions: int, processes: int
) -> list[Run]:
    """`runs` rounds of `sessions` calls, in that order, from so many processes."""
    workers: list[Process] = []
    try:
        workers += [await began() for _ in range(processes)]
        job = worker.job(target, script, options)
        async with asyncio.timeout(WORKER_READY_S):
            await asyncio.gather(*(_prepare(process, job) for process in workers))
        done: dict[int, Run] = {}
        for first in range(0, runs * sessions, sessions):
            shares = [list(range(first + at, first + sessions, processes)) for at in range(processes)]
            for process, share in zip(workers, shares, strict=True):
                stdin(process).write(worker.calls(share))
            for ended in await asyncio.gather(
                *(_collect(process, share, count) for process, share in zip(workers, shares, strict=True))
            ):
                done |= ended
        return [done[number] for number in sorted(done)]
    except (TimeoutError, ConnectionError) as why:
        raise StepFailed("a process of the caller did not get ready", hint="is this machine overloaded?") from why
    finally:
        await asyncio.gather(*(end(process) for process in workers))


async def began() -> Process:
    """A process that makes calls, see worker.py."""
    # -P: a project's own email.py or types.py must not stand in the way.
    here = str(Path(voicedeploy.__file__).parents[1])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "voicedeploy.call",
        stdin=PIPE, stdout=PIPE, limit=worker.LONGEST_LINE, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


async def _prepare(process: Process, job: bytes) -> None:
    stdin(process).write(job)
    await stdin(process).drain()
    await next_event(process)


async def _collect(process: Process, share: list[int], count: Count) -> dict[int, Run]:
    done: dict[int, Run] = {}
    while len(done) < len(share):
        event = await next_event(process)
        number = event["call"]
        if "run" in event:
            done[number] = worker.RUN.validate_python(event["run"])
            count.ended(number, done[number])
        else:
            count.text(number, event["text"])
    return done


async def next_event(process: Process) -> dict[str, Any]:
    """Raises StepFailed if the process has died."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise StepFailed("a process of the caller died", hint="its last words are above")
    event: dict[str, Any] = json.loads(line)
    return event


def stdin(process: Process) -> asyncio.StreamWriter:
    assert process.stdin is not None
    return process.stdin


async def end(process: Process) -> None:
    """The worker ends with its input; one that does not is killed."""
    stdin(process).close()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
