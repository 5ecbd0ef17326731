"""A call to a bot that goes into a room. Its sound is out of reach: what can be seen is whether the bot went in.

docs/decisions/0012 says what that proves and what it does not.
"""

import asyncio
import time
from dataclasses import replace

from voicedeploy.call.callee import Callee
from voicedeploy.call.options import CallOptions
from voicedeploy.call.run import Failure, Phases, Run
from voicedeploy.call.signalling import CallFailed, Signalling

ROOMS = ("daily", "livekit")
NOTE = "the bot is in its room; nobody has listened there"

LOOK_S = 0.1
# A little more than the front gives a bot to come into its room.
PATIENCE_S = 35.0


async def attend(target: Callee, options: CallOptions, began_at: str) -> Run:
    """Starts a call, waits until the bot is in its room, and ends it. `ok` means just that."""
    signalling = Signalling(target, timeout_s=options.http_timeout_s)
    run = Run(ok=False, started_at=began_at)
    began = time.monotonic()
    try:
        await signalling.authorize()
        asked = time.monotonic()
        started = await signalling.start(options.transport)
        run = replace(run, session_id=started.session_id, phases=Phases(start=_ms(asked)))
        if started.session_id is None:
            raise CallFailed(
                Failure("room", "the answer of /start has no session", "is this a front of voicedeploy, with rooms?")
            )
        await _until_joined(signalling, started.session_id)
        run = replace(run, ok=True, joined_ms=_ms(asked), notes=(NOTE,))
    except CallFailed as why:
        run = run.failed(why.failure)
    finally:
        if run.session_id:
            await signalling.abandon(run.session_id)
        run = replace(run, connect_ms=_rounded(signalling.connect_s), duration_ms=_ms(began))
        await signalling.close()
    return run


async def _until_joined(signalling: Signalling, session_id: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    state = ""
    while time.monotonic() < deadline:
        state = await signalling.state(session_id)
        if state in ("joined", "connected"):
            return
        await asyncio.sleep(LOOK_S)
    raise CallFailed(
        Failure(
            "room",
            f"the bot did not come into its room within {PATIENCE_S:.0f} s (it is {state})",
            "`voicedeploy logs` shows what its transport says; UDP has to get out from there",
        )
    )


def _ms(since: float) -> float:
    return (time.monotonic() - since) * 1000


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
