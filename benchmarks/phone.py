"""What a caller on the phone hears of the offline bot.

With our resampling between the phone's sample rate and the bot's, and with Pipecat's. The caller plays at once what
comes, without a buffer; a hole is when it has nothing to play within an utterance.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.altered_worker import TELEPHONES
from benchmarks.outcome import Outcome, Ratio, median, quantile, run
from benchmarks.servers import Front, Server
from benchmarks.turns import answered, by_turns
from benchmarks.voice_to_voice import made
from voicedeploy.call import CallOptions, Run
from voicedeploy.call.lines.socket.player import PIECE_S
from voicedeploy.network import Transport

OPTIONS = CallOptions(answer_timeout_s=6, monologue_timeout_s=15, transport=Transport.TWILIO.value)
ACCOUNT = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "of nobody's account"}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phone", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6, help="one call of four turns to each bot in every round")
    return run(lambda args: asyncio.run(measure(args.rounds)), parser, argv)


async def measure(rounds: int) -> Outcome:
    with ExitStack() as stack:
        front = Front(bot=stack.enter_context(made()), transport=Transport.TWILIO, env=ACCOUNT)
        theirs = replace(front, name="Pipecat's resampling", without=(TELEPHONES,))
        servers = [stack.enter_context(side()) for side in (front, theirs)]
        return judge(await by_turns(servers, rounds, _heard, lambda of: median(_answers(of))))


async def _heard(server: Server) -> Run:
    return await answered(server, OPTIONS, lambda done: done if _complete(done) else None)


def _complete(done: Run) -> bool:
    """Every turn was answered once."""
    return all(turn.voice_to_voice_ms is not None and not turn.overlapped for turn in done.turns)


def _answers(runs: Sequence[Run]) -> list[float]:
    return [turn.voice_to_voice_ms for run in runs for turn in run.turns if turn.voice_to_voice_ms is not None]


def judge(runs: dict[str, list[Run]]) -> Outcome:
    """`runs` in the order: ours, Pipecat's."""
    outcome = Outcome("the offline bot on the phone, ms")
    for name, of in runs.items():
        heard = _answers(of)
        outcome.rows.append({
            "front": name,
            "voice to voice": median(heard),
            "p95": quantile(heard, 0.95),
            "first word": median([run.first_word_ms or 0.0 for run in of]),
            "largest hole": max(run.audio.max_gap_ms for run in of) - PIECE_S * 1000,
            "late p95": median([run.audio.late_p95_ms for run in of]),
        })  # fmt: skip
    ours, theirs = (median(_answers(of)) for of in runs.values())
    outcome.ratios = [Ratio("voice to voice, voicedeploy / Pipecat's resampling", ours / theirs, 0.8)]
    return outcome


if __name__ == "__main__":
    sys.exit(main())
