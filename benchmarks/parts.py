"""What a talking call costs, and what each part of the front's tuning is worth: one part left out at a time."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from benchmarks.altered_worker import LEAVE_OUT, TELEPHONES
from benchmarks.calls import NICE, STAGGER_S, Round, after, cores_of, one_round, told
from benchmarks.outcome import Outcome, Ratio, median, quantile, run, tell
from benchmarks.servers import Front, Place, Runner
from voicedeploy.call import Script

ALL = "everything"
NONE = "nothing of it"
RTVI = "everything, RTVI off"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="one of each kind in every round")
    parser.add_argument("--calls", type=int, default=3, help="at once")
    parser.add_argument("--cores", type=int, choices=(1, 2), default=2, help="of the servers")
    return run(lambda args: asyncio.run(measure(args.rounds, args.calls, args.cores)), parser, argv)


async def measure(rounds: int, calls: int, cores: int) -> Outcome:
    servers, callers = cores_of(cores)
    place = Place(servers, NICE)

    def front(name: str, *without: str, **env: str) -> Front:
        return Front(name, slots=calls, warm=calls, place=place, without=without, env=env)

    parts = [name for name in LEAVE_OUT if name != TELEPHONES]
    sides: tuple[Front | Runner, ...] = (
        front(ALL),
        *(front(f"without {name}", name) for name in parts),
        front(RTVI, RTVI="off"),
        front(NONE, *parts),
        Runner(place=place),
    )
    script = after(calls * STAGGER_S, Script.demo(2))
    done: dict[str, list[Round]] = {side.name: [] for side in sides}
    for number in range(rounds):
        turned = number * 4 % len(sides)
        for side in sides[turned:] + sides[:turned]:
            for _ in range(2):
                one = await one_round(side, script, calls, callers)
                tell(told(side.name, one))
                if one.fair:
                    break
            done[side.name].append(one)
    return judge(done, calls, cores)


def judge(done: dict[str, list[Round]], calls: int, cores: int) -> Outcome:
    outcome = Outcome(
        f"CPU of a talking call, % of a core ({calls} calls, {'two cores' if cores == 2 else 'one core'})"
    )
    base = [one.server_percent for one in done[ALL]]
    for name, rounds in done.items():
        # Against the same round's: what slows the machine for a while slows both.
        more = [one.server_percent - all_of_it for one, all_of_it in zip(rounds, base, strict=True)]
        outcome.rows.append(
            {
                "side": name,
                "% a call": median([one.server_percent for one in rounds]),
                "more than with everything": median(more),
                "holes": sum(one.holes for one in rounds),
                "utterances": sum(one.utterances for one in rounds),
                "late p95, ms": quantile([ms for one in rounds for ms in one.late_p95_ms], 0.95),
            }
        )
    tuned, plain = (median([one.server_percent for one in done[name]]) for name in (ALL, NONE))
    outcome.ratios = [Ratio("CPU of a call, everything / nothing of it", tuned / plain, 0.9)]
    return outcome


if __name__ == "__main__":
    sys.exit(main())
