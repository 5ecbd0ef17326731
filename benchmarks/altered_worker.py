"""The worker with some of what makes a call cheap left out, to see what each is worth.

`BENCHMARK_WITHOUT=encode,uvloop` in the environment; the names are those of `LEAVE_OUT`.
"""

import asyncio
import importlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORKER = Path(__file__).parents[1] / "voicedeploy" / "serve" / "worker"
NAME = "_voicedeploy_worker"
COMING_FIRST = "coming first"
TELEPHONES = "telephones at once"


def _part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def _set(module: str, name: str, value: Any) -> Callable[[], None]:
    def leave_out() -> None:
        part = _part(module)
        if not hasattr(part, name):
            raise SystemExit(f"the worker's {module}.py has no {name} any more")
        setattr(part, name, value)

    return leave_out


LEAVE_OUT: dict[str, Callable[[], None]] = {
    "inline encoding": _set("media", "_encode_inline", lambda: True),
    "inline decoding": _set("media", "_decode_inline", lambda: True),
    "hearing at once": _set("media", "_hear_at_once", lambda: True),
    "whole packets": _set("media", "_whole_packets", lambda: True),
    TELEPHONES: _set("resampling", "answer_at_once", lambda: None),
    "quiet observers": _set("observers", "lighten", lambda: None),
    "uvloop": _set("call", "_fast_loop", asyncio.new_event_loop),
    "one core": _set("process", "stay_on", lambda core: None),
    COMING_FIRST: _set("process", "come_first", lambda: None),
}


def main() -> None:
    runpy.run_path(str(WORKER / "__main__.py"))
    for name in filter(None, os.environ.pop("BENCHMARK_WITHOUT").split(",")):
        LEAVE_OUT[name]()
    _part("main").main()


if __name__ == "__main__":
    # As if the worker had been run itself: our folder does not lie on the bot's import path.
    sys.path.remove(str(Path(__file__).parent))
    main()
