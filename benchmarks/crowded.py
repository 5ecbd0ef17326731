"""Calls on a core on which others compute: as they are, and if a call's process did not come first.

The others are programs that compute without a pause, as an installation or the start of another bot does. The callers
have a core of their own; arrival times are the kernel's.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.altered_worker import COMING_FIRST
from benchmarks.callers import together
from benchmarks.calls import OPTIONS, STAGGER_S, Round, after, cores_of, told
from benchmarks.outcome import Outcome, Ratio, median, quantile, run, tell
from benchmarks.servers import Front, Place
from voicedeploy.call import Script

FIRST = "a call comes first"
NOT_FIRST = "without"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowded", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="one of each kind in every round")
    parser.add_argument("--calls", type=int, default=2, help="at once")
    parser.add_argument("--others", type=int, default=4, help="programs that compute beside them")
    if os.geteuid():
        raise SystemExit("only root, or who is given RLIMIT_NICE, may let a process come first")
    return run(lambda args: asyncio.run(measure(args.rounds, args.calls, args.others)), parser, argv)


async def measure(rounds: int, calls: int, others: int) -> Outcome:
    servers, callers = cores_of(1)
    place = Place(servers)
    sides = (
        Front(FIRST, slots=calls, warm=calls, place=place),
        Front(NOT_FIRST, slots=calls, warm=calls, place=place, without=(COMING_FIRST,)),
    )
    script = after(calls * STAGGER_S, Script.demo(2))
    done: dict[str, list[Round]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides[:: 1 if number % 2 else -1]:
            with side() as server, computing(others, place):
                heard = await together(
                    server.callee, script, OPTIONS, sessions=calls, stagger_s=STAGGER_S, cores=callers
                )
            one = Round.of(heard, len(script.turns))
            tell(told(side.name, one))
            done[side.name].append(one)
    return judge(done, calls, others)


@contextmanager
def computing(count: int, place: Place) -> Iterator[None]:
    hogs = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"], preexec_fn=place.enter)
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def judge(done: dict[str, list[Round]], calls: int, others: int) -> Outcome:
    outcome = Outcome(f"{calls} calls on a core on which {others} programs compute")
    for name, rounds in done.items():
        outcome.rows.append(
            {
                "side": name,
                "answered": f"{sum(one.answered for one in rounds)}/{sum(one.asked for one in rounds)}",
                "holes": sum(one.holes for one in rounds),
                "utterances": sum(one.utterances for one in rounds),
                "largest gap, ms": max(one.max_gap_ms for one in rounds),
                "late p95, ms": quantile([ms for one in rounds for ms in one.late_p95_ms], 0.95),
            }
        )
    first, without = (median([ms for one in done[name] for ms in one.late_p95_ms]) for name in (FIRST, NOT_FIRST))
    outcome.ratios = [Ratio("late p95, a call comes first / without", first / without, 0.5)]
    return outcome


if __name__ == "__main__":
    sys.exit(main())
