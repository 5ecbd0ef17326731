"""The call that proves a deployment."""

import asyncio
import json
from typing import Any

from voicedeploy.errors import NotHeard, NotReady
from voicedeploy.plan import Door


class Proof:
    """Calls once, says hello, and listens. `run` keeps what was seen, as `--json` promises it."""

    def __init__(self) -> None:
        self.run: dict[str, Any] | None = None

    def __call__(self, door: Door, report: str) -> str:
        self.run = _first(report) if report else _call(door)
        if self.run.get("joined_ms") is not None:
            return joined(self.run)
        if self.run["first_word_ms"] is None:
            failure = self.run["error"] or {}
            raise NotHeard(
                f"the bot is not heard: {failure.get('message') or 'silence'}",
                hint=failure.get("hint") or "`voicedeploy logs` shows what the bot did",
            )
        return heard(self.run)


def _first(report: str) -> dict[str, Any]:
    try:
        run: dict[str, Any] = json.loads(report)["runs"][0]
    except (ValueError, LookupError, TypeError):
        last = report.strip().splitlines()[-1:] or ["nothing"]
        raise NotHeard(f"the call on the target said {last[0]!r}", hint="`voicedeploy logs`") from None
    return run


def _call(door: Door) -> dict[str, Any]:
    try:
        from voicedeploy.call import Callee, Script, call_many
        from voicedeploy.call.options import BRIEF
    except NotReady as error:
        raise NotReady(error.message, hint=f"{error.hint}; or --no-call, to take it on trust") from error
    return asyncio.run(call_many(Callee.at(door), Script.demo(1), BRIEF)).runs[0].to_json()


def joined(run: dict[str, Any]) -> str:
    """Of a call in a room, where nothing is heard from here."""
    return f"the bot was in its room after {run['joined_ms'] / 1000:.2f} s; nobody listened there"


def heard(run: dict[str, Any]) -> str:
    """One line: `first word 0.14 s · voice to voice 0.31 s · 0 lost`."""
    parts = [f"first word {run['first_word_ms'] / 1000:.2f} s"]
    answers = sorted(turn["voice_to_voice_ms"] for turn in run["turns"] if turn["voice_to_voice_ms"] is not None)
    if answers:
        parts.append(f"voice to voice {answers[len(answers) // 2] / 1000:.2f} s")
    elif run["turns"]:
        parts.append("no answer to what was said")
    parts.append(f"{run['audio']['lost']} lost")
    return " · ".join(parts)


def no_proof(door: Door, report: str) -> str:
    raise AssertionError("taking a deployment away needs no call")
