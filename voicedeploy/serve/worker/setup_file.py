"""Named in PIPECAT_SETUP_FILES: Pipecat imports this by its path and calls both functions.

A program that the bot starts inherits the variable, but not the package: there it does nothing.
"""

import sys
from typing import Any

_latency = sys.modules.get("_voicedeploy_worker.latency")


async def setup_pipeline_worker(worker: Any) -> None:
    if _latency:
        _latency.attach(worker)


async def setup_worker_runner(runner: Any) -> None:
    """Nothing to set up; Pipecat warns about a file without it."""
