"""A bot that needs no Pipecat: it is in a session until that is stopped, or as long as the session's data says."""

import asyncio
import os
from typing import Any

if os.environ.get("CRASH"):
    raise RuntimeError(os.environ["CRASH"])

print("quiet", os.environ.get("NOTE", ""), flush=True)  # noqa: T201


def readyz() -> bool:
    return os.environ.get("READY") != "no"


async def bot(args: Any) -> None:
    print(f"hello {args.session_id} {args.body}", flush=True)  # noqa: T201
    await asyncio.sleep(float(args.body.get("seconds", 60)))
