"""A process that makes calls for `call_many`: `python -m voicedeploy.call`.

One JSON object a line. In: first `{"target", "script", "options"}`, then `{"calls": [3, 4]}` for calls that begin at
once. Out: `{"ready": true}`, `{"call": 3, "text": "connected"}`, `{"call": 3, "run": {…}}`. It ends with its input.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from voicedeploy.call.callee import Callee
from voicedeploy.call.client import place, warm_up
from voicedeploy.call.options import CallOptions
from voicedeploy.call.run import Run
from voicedeploy.call.script import Script
from voicedeploy.call.signalling import ASSUMED

RUN, CALLEE = TypeAdapter(Run), TypeAdapter(Callee)
LONGEST_LINE = 64 * 2**20


def job(target: Callee, script: Script, options: CallOptions) -> bytes:
    """The first line. The key travels here and not on the command line, where others could read it."""
    return _line({"target": asdict(target), "script": script.to_json(), "options": options.to_json()})


def calls(numbers: list[int]) -> bytes:
    return _line({"calls": numbers})


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode() + b"\n"


def _tell(body: dict[str, Any]) -> None:
    sys.stdout.buffer.write(_line(body))
    sys.stdout.buffer.flush()


async def main() -> None:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = json.loads(await reader.readline())
    target, options = CALLEE.validate_python(first["target"]), CallOptions(**first["options"])
    script = Script.from_json(first["script"])
    await warm_up(options.transport or ASSUMED)
    _tell({"ready": True})

    async def one(number: int) -> None:
        run = await place(target, script, options, lambda text: _tell({"call": number, "text": text}))
        _tell({"call": number, "run": RUN.dump_python(run, mode="json")})

    running: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        tasks = [asyncio.ensure_future(one(number)) for number in json.loads(line)["calls"]]
        running.update(tasks)
        for task in tasks:
            task.add_done_callback(running.discard)
    for task in running:  # whoever asked has gone
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
