"""Many calls: one after another (`runs`) and at once (`sessions`)."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voicedeploy
from voicedeploy.call import worker
from voicedeploy.call.callee import Callee
from voicedeploy.call.client import place, settled, warm_up
from voicedeploy.call.options import CallOptions
from voicedeploy.call.report import Environment, Report
from voicedeploy.call.run import Run
from voicedeploy.call.script import Script
from voicedeploy.errors import StepFailed

PER_PROCESS = 4
"""Calls that one process makes at once: an interpreter that is never busy for longer than a millisecond or two."""
WORKER_READY_S = 60.0


@dataclass(frozen=True)
class Progress:
    """`call` counts from 0; `run` is set when that call has ended."""

    done: int
    total: int
    call: int
    text: str
    run: Run | None = None


async def call_many(
    target: Callee,
    script: Script,
    options: CallOptions | None = None,
    *,
    runs: int = 1,
    sessions: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """`runs` rounds of `sessions` calls that begin at the same moment; the runs come back in that order.

    More than one session is spread over processes of at most four calls each (at most one process a core), so that
    the caller does not measure itself. Raises StepFailed only if such a process dies.
    """
    options = await settled(target, options or CallOptions())
    count = _Count(runs * sessions, progress or (lambda _: None))
    if sessions == 1:
        await warm_up(options.transport)
        done = [await _counted(count, number, target, script, options) for number in range(runs)]
        return Report(target.url, tuple(done), Environment.here(), transport=options.transport)
    processes = max(1, min(os.cpu_count() or 1, -(-sessions // PER_PROCESS)))
    before = Environment.here(processes=processes)
    done = await _spread(count, target, script, options, runs, sessions, processes)
    return Report(target.url, tuple(done), before, sessions, options.transport)


class _Count:
    def __init__(self, total: int, tell: Callable[[Progress], None]) -> None:
        self._total, self._tell, self._done = total, tell, 0

    def text(self, number: int, text: str) -> None:
        self._tell(Progress(self._done, self._total, number, text))

    def ended(self, number: int, run: Run) -> None:
        self._done += 1
        self._tell(Progress(self._done, self._total, number, "ok" if run.ok else "failed", run))


async def _counted(count: _Count, number: int, target: Callee, script: Script, options: CallOptions) -> Run:
    run = await place(target, script, options, lambda text: count.text(number, text))
    count.ended(number, run)
    return run


async def _spread(
    count: _Count, target: Callee, script: Script, options: CallOptions, runs: int, sessions: int, processes: int
) -> list[Run]:
    workers: list[Process] = []
    try:
        workers += [await _worker() for _ in range(processes)]
        job = worker.job(target, script, options)
        async with asyncio.timeout(WORKER_READY_S):
            await asyncio.gather(*(_prepare(process, job) for process in workers))
        done: dict[int, Run] = {}
        for first in range(0, runs * sessions, sessions):
            shares = [list(range(first + at, first + sessions, processes)) for at in range(processes)]
            for process, share in zip(workers, shares, strict=True):
                _stdin(process).write(worker.calls(share))
            for ended in await asyncio.gather(
                *(_collect(process, share, count) for process, share in zip(workers, shares, strict=True))
            ):
                done |= ended
        return [done[number] for number in sorted(done)]
    except (TimeoutError, ConnectionError) as why:
        raise StepFailed("a process of the caller did not get ready", hint="is this machine overloaded?") from why
    finally:
        await asyncio.gather(*(_end(process) for process in workers))


async def _worker() -> Process:
    # -P: a project's own email.py or types.py must not stand in the way.
    here = str(Path(voicedeploy.__file__).parents[1])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "voicedeploy.call",
        stdin=PIPE, stdout=PIPE, limit=worker.LONGEST_LINE, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


async def _prepare(process: Process, job: bytes) -> None:
    _stdin(process).write(job)
    await _stdin(process).drain()
    await _next(process)


async def _collect(process: Process, share: list[int], count: _Count) -> dict[int, Run]:
    done: dict[int, Run] = {}
    while len(done) < len(share):
        event = await _next(process)
        number = event["call"]
        if "run" in event:
            done[number] = worker.RUN.validate_python(event["run"])
            count.ended(number, done[number])
        else:
            count.text(number, event["text"])
    return done


async def _next(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise StepFailed("a process of the caller died", hint="its last words are above")
    event: dict[str, Any] = json.loads(line)
    return event


def _stdin(process: Process) -> asyncio.StreamWriter:
    assert process.stdin is not None
    return process.stdin


async def _end(process: Process) -> None:
    """The worker ends with its input; one that does not is killed."""
    _stdin(process).close()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
