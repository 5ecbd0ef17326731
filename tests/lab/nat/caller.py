"""Makes calls from where it runs: `python caller.py`, one `{"id", "url", "key"}` a line, one outcome a line.

`relay_only` may be asked for too.
"""

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from voicedeploy.call import Callee, CallOptions, Script, call
from voicedeploy.call.client import warm_up

PATIENCE = CallOptions(
    http_timeout_s=10, connect_timeout_s=8, greeting_timeout_s=12, quiet_s=0.3, monologue_timeout_s=3, hear_out=False
)


async def one(asked: dict[str, Any]) -> None:
    options = replace(PATIENCE, relay_only=asked.get("relay_only", False))
    run = await call(Callee.parse(asked["url"], key=asked["key"]), Script(()), options)
    pair = run.candidate_pair
    told = {
        "id": asked["id"],
        "heard": run.ok,
        "layer": run.error.layer if run.error else "",
        "said": run.error.message if run.error else f"{pair.local} → {pair.remote}" if pair else "",
        "seconds": round(((run.phases.ice or 0.0) + (run.phases.dtls or 0.0)) / 1000, 2),
        "offer_seconds": round((run.phases.offer or 0.0) / 1000, 2),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def main() -> None:
    await warm_up()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    calls = set()
    while line := await reader.readline():
        calls.add(asyncio.ensure_future(one(json.loads(line))))
    for task in calls:
        task.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


asyncio.run(main())
