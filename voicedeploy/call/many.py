"""Many calls: one after another (`runs`) and at once (`sessions`)."""

import os
from collections.abc import Callable

from voicedeploy.call.callee import Callee
from voicedeploy.call.client import place, settled, warm_up
from voicedeploy.call.options import CallOptions
from voicedeploy.call.progress import Count, Progress
from voicedeploy.call.report import Environment, Report
from voicedeploy.call.run import Run
from voicedeploy.call.script import Script

PER_PROCESS = 4
"""Calls that one process makes at once: an interpreter that is never busy for longer than a millisecond or two."""


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
    count = Count(runs * sessions, progress or (lambda _: None))
    if sessions == 1:
        await warm_up(options.transport)
        done = [await _counted(count, number, target, script, options) for number in range(runs)]
        return Report(target.url, tuple(done), Environment.here(), transport=options.transport)
    from voicedeploy.call.spread import spread

    processes = max(1, min(os.cpu_count() or 1, -(-sessions // PER_PROCESS)))
    before = Environment.here(processes=processes)
    done = await spread(count, target, script, options, runs, sessions, processes)
    return Report(target.url, tuple(done), before, sessions, options.transport)


async def _counted(count: Count, number: int, target: Callee, script: Script, options: CallOptions) -> Run:
    run = await place(target, script, options, lambda text: count.text(number, text))
    count.ended(number, run)
    return run
