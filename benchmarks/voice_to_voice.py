"""Voice to voice of the offline bot, and what it is made of: as `init` makes it, and with Pipecat's defaults.

The caller measures at its own end; the segments are the front's (its log and /metrics have them for every call), of the
same turns. They are means, which add up. `in the bot` is what Pipecat's observer measured by itself, from the end of
speech as voice detection dates it. `way in` is from the caller's last sound to there, `way out` from the bot's word
that it speaks to the caller's first sound of it: told apart by the time of the front's log line, good to some 5 ms.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.outcome import Outcome, Ratio, median, quantile, run
from benchmarks.servers import Front, Server
from benchmarks.turns import answered, by_turns
from voicedeploy.call import CallOptions, Run, Script
from voicedeploy.init import Services
from voicedeploy.init.make import artifacts_of
from voicedeploy.network import Transport

OPTIONS = CallOptions(answer_timeout_s=6, monologue_timeout_s=15)
SEGMENTS = (
    "endpointing_wait",
    "transcription",
    "turn_detection",
    "llm_inference",
    "sentence_aggregation",
    "speech_synthesis",
    "output_transport",
    "pipeline",
)
REST = "pipeline"
"""Pipecat's name for what no segment covers."""

# What `init` sets, and Pipecat leaves as it is: (file, text, what stands there instead).
DEFAULTS = (
    ("bot.py", ', "audio_out_10ms_chunks": 2', ""),
    ("bot.py", "        user_turn_strategies=UserTurnStrategies(stop=[stop]),\n", ""),
    ("bot.py", "params=VADParams(stop_secs=0.2)", ""),
    ("stt.py", "            ttfs_p99_latency=0.35,\n", ""),
    ("stt.py", ", finalized=True", ""),
)


@dataclass(frozen=True)
class Answer:
    """One turn, in ms. `segments` as the front logged them."""

    at_the_caller: float
    in_the_bot: float
    way_out: float
    segments: dict[str, float]

    @property
    def way_in(self) -> float:
        return self.at_the_caller - self.in_the_bot - self.way_out


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.voice_to_voice", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=6, help="one call of four turns to each bot in every round")
    return run(lambda args: asyncio.run(measure(args.rounds)), parser, argv)


async def measure(rounds: int) -> Outcome:
    with ExitStack() as stack:
        bot, plain = stack.enter_context(made()), stack.enter_context(made(DEFAULTS))
        sides = (
            Front("as init makes it", bot=bot),
            Front("hearing late", bot=bot, without=("hearing at once",)),
            Front("Pipecat's defaults", bot=plain),
        )
        servers = [stack.enter_context(side()) for side in sides]
        rounds_of = await by_turns(
            servers, rounds, _answers, lambda of: median([one.at_the_caller for call in of for one in call])
        )
    answers = {name: [one for call in of for one in call] for name, of in rounds_of.items()}
    return judge(answers)


@contextmanager
def made(instead: Sequence[tuple[str, str, str]] = ()) -> Iterator[Path]:
    """The offline bot in a folder of its own, with some of its text replaced."""
    with TemporaryDirectory(prefix="vdb-") as folder:
        for artifact in artifacts_of("front-desk", Transport.WEBRTC, Services.OFFLINE, "local"):
            text = artifact.text
            for name, here, there in instead:
                if name == artifact.path:
                    if here not in text:
                        raise SystemExit(f"{name} has no {here.strip()!r} any more")
                    text = text.replace(here, there)
            Path(folder, artifact.path).write_text(text)
        yield Path(folder, "bot.py")


async def _answers(server: Server) -> list[Answer]:
    turns = len(Script.demo().turns)
    return await answered(server, OPTIONS, lambda done: matched(done, server.events("latency"), turns))


def matched(done: Run, events: Sequence[dict[str, Any]], turns: int) -> list[Answer]:
    """Each turn with what the front said about it; empty if they cannot be told apart."""
    logged = [event for event in events if event.get("session") == done.session_id]
    heard = [turn for turn in done.turns if not turn.overlapped]
    if len(heard) != turns or len(logged) != turns:
        return []
    began = _ms_of(done.started_at)
    answers = []
    for turn, event in zip(heard, logged, strict=True):
        if turn.voice_to_voice_ms is None:
            return []
        first_sound = began + turn.spoke_until_ms + turn.voice_to_voice_ms
        answers.append(
            Answer(
                at_the_caller=turn.voice_to_voice_ms,
                in_the_bot=event["voice_to_voice_ms"],
                way_out=first_sound - _ms_of(event["ts"]),
                segments=event["segments"],
            )
        )
    return answers


def _ms_of(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() * 1000


def judge(answers: dict[str, list[Answer]]) -> Outcome:
    """`answers` in the order: as init makes it, others, Pipecat's defaults."""
    outcome = Outcome("voice to voice of the offline bot, ms (means, which add up)")
    keys = [*SEGMENTS, *sorted({key for of in answers.values() for one in of for key in one.segments} - {*SEGMENTS})]
    parts = {
        name: {key: fmean(one.segments.get(key, 0.0) for one in of) for key in keys} for name, of in answers.items()
    }
    for key in keys:
        outcome.rows.append({"segment": key, **{name: parts[name][key] for name in answers}})
    for label, take in (
        ("in the bot", lambda one: one.in_the_bot),
        ("way in", lambda one: one.way_in),
        ("way out", lambda one: one.way_out),
        ("at the caller", lambda one: one.at_the_caller),
    ):
        outcome.rows.append({"segment": label, **{name: fmean(map(take, of)) for name, of in answers.items()}})
    heard = {name: [one.at_the_caller for one in of] for name, of in answers.items()}
    outcome.rows.append({"segment": "median at the caller", **{name: median(of) for name, of in heard.items()}})
    outcome.rows.append({"segment": "p95 at the caller", **{name: quantile(of, 0.95) for name, of in heard.items()}})
    ours, *_, theirs = answers
    summed = [sum(one.segments.values()) for one in answers[ours]]
    measured = [one.in_the_bot for one in answers[ours]]
    named = sum(ms for key, ms in parts[ours].items() if key != REST)
    off = max(abs(a - b) for a, b in zip(summed, measured, strict=True))
    outcome.ratios = [
        Ratio(f"{ours} / {theirs}, median at the caller", median(heard[ours]) / median(heard[theirs]), 1 / 2),
        Ratio("named segments / in the bot", named / fmean(measured), 0.95, at_least=True),
    ]
    outcome.notes.append(
        f"{len(measured)} turns each; the segments of a turn differ by at most {off:.1f} ms from what the bot measured"
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main())
