"""The call that proves a deployment."""

import asyncio
from typing import TYPE_CHECKING, Any

from voicedeploy.errors import NotHeard, NotReady
from voicedeploy.plan import Door

if TYPE_CHECKING:
    from voicedeploy.call import Run


class Proof:
    """Calls once, says hello, and listens. `run` keeps what was seen, as `--json` promises it."""

    def __init__(self) -> None:
        self.run: dict[str, Any] | None = None

    def __call__(self, door: Door) -> str:
        try:
            from voicedeploy.call import Callee, CallOptions, Script, call_many
        except NotReady as error:
            raise NotReady(error.message, hint=f"{error.hint}; or --no-call, to take it on trust") from error
        callee = Callee.parse(door.url, key=door.key, socket=door.socket)
        (run,) = asyncio.run(call_many(callee, Script.demo(1), CallOptions(quiet_s=0.5, hear_out=False))).runs
        self.run = run.to_json()
        if run.first_word_ms is None:
            failure = run.error
            raise NotHeard(
                f"the bot is not heard: {failure.message if failure else 'silence'}",
                hint=failure.hint if failure else "`voicedeploy logs` shows what the bot did",
            )
        return heard(run)


def heard(run: "Run") -> str:
    """One line: `first word 0.14 s · voice to voice 0.31 s · 0 lost`."""
    parts = [f"first word {run.first_word_ms / 1000:.2f} s"] if run.first_word_ms is not None else []
    answers = sorted(turn.voice_to_voice_ms for turn in run.turns if turn.voice_to_voice_ms is not None)
    if answers:
        parts.append(f"voice to voice {answers[len(answers) // 2] / 1000:.2f} s")
    elif run.turns:
        parts.append("no answer to what was said")
    parts.append(f"{run.audio.lost} lost")
    return " · ".join(parts)


def no_proof(door: Door) -> str:
    raise AssertionError("taking a deployment away needs no call")
