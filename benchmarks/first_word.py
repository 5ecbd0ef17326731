"""First word: a forked process that waits warm, a process started for the call, Pipecat's runner. Same bot."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.outcome import Outcome, Ratio, Row, median, quantile, run
from benchmarks.servers import Front, Runner
from benchmarks.turns import by_turns, rested
from voicedeploy.call import CallOptions, Run, Script

OPTIONS = CallOptions(greeting_timeout_s=15, quiet_s=0.3)
GREETING_ONLY = Script(())
PHASES = ("start", "offer", "ice", "dtls", "first_word")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_word", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="one call of each kind in every round")
    return run(lambda args: asyncio.run(measure(args.rounds)), parser, argv)


async def measure(rounds: int) -> Outcome:
    sides = (
        Front("forked, warm", warm=1, isolation="fork"),
        Front("started for the call", warm=0, isolation="spawn"),
        Runner(),
    )
    with ExitStack() as stack:
        servers = [stack.enter_context(side()) for side in sides]
        return judge(
            await by_turns(
                servers, rounds, lambda server: rested(server, GREETING_ONLY, OPTIONS), lambda done: _ms(done[-1])
            )
        )


def _ms(heard: Run) -> float:
    assert heard.first_word_ms is not None
    return heard.first_word_ms


def judge(runs: dict[str, list[Run]]) -> Outcome:
    """`runs` by side, in the order: forked, cold, runner."""
    outcome = Outcome("first word, ms (medians; phases of the call)")
    for name, done in runs.items():
        values = [_ms(one) for one in done]
        phases = {phase: median([getattr(one.phases, phase) or 0.0 for one in done]) for phase in PHASES}
        row: Row = {"side": name, "first word": median(values), "p95": quantile(values, 0.95), "calls": len(values)}
        row |= {("audio" if phase == "first_word" else phase): ms for phase, ms in phases.items()}
        outcome.rows.append(row)
    forked, cold, runner = ([_ms(one) for one in done] for done in runs.values())
    # Of each round's own pair: what slows the machine for a while slows both.
    outcome.ratios = [
        Ratio("forked / Pipecat's runner", median(forked) / median(runner), 1.0),
        Ratio("forked / started for the call", median(forked) / median(cold), 1 / 8),
    ]
    paired = median([f / r for f, r in zip(forked, runner, strict=True)])
    outcome.notes.append(f"forked / Pipecat's runner, median of each round's ratio: {paired:.2f}")
    return outcome


if __name__ == "__main__":
    sys.exit(main())
