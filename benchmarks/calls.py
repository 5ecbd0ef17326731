"""Talking calls held with clean audio: `voicedeploy serve` against Pipecat's runner, on one core and on two.

A call: the bot greets, the caller says two sentences, the bot answers each for three seconds. Calls begin one after
another, so that their turns do not end at once, and nobody speaks to a bot before all calls stand: in one process the
set-up of a call holds the others up, which is another matter (`--joining` lets them talk from the start).

A number of calls is *held* if, over all rounds with it, every call is connected, every turn is answered, no packet is
lost, at most one utterance of the bot in twenty has a gap above 60 ms (any hole counts as an utterance's), and in
95 % of the calls 95 % of the packets come within 60 ms of the best: a listener's jitter buffer of 60 ms never ran dry.

The callers share the machine. Their speech is encoded beforehand; arrival times are the kernel's; the servers run
behind them (nice 5), so that what the callers need is missing to the servers, on both sides alike. A round in which
the callers were late all the same, or others used the machine, is repeated, up to three times.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from benchmarks.callers import Calls, together
from benchmarks.outcome import CpuTimes, Outcome, Ratio, quantile, run, tell, wait_until_idle
from benchmarks.servers import Front, Place, Runner
from voicedeploy.call import CallOptions, Run, Script, Turn
from voicedeploy.call.audio import FRAME_S, Speech, silence

GAP_MS = 60.0
HOLES = 0.05
LATE_MS = 60.0
CALLER_LATE_MS = 20.0
"""A microphone that is a packet late: what the bot hears has a hole that is not the server's."""
OTHERS_PERCENT = 15.0
"""Of one core, used by the rest of the machine."""
STOLEN_PERCENT = 3.0
"""Of the machine's time, taken by its host: more makes holes of which no program here is the cause."""
NICE = 5
STAGGER_S = 1.1
"""Longer than set-up and greeting, so that no call's greeting meets another's set-up."""
WATCH_S = 9.0
OPTIONS = CallOptions(greeting_timeout_s=10, answer_timeout_s=8, quiet_s=0.5, connect_timeout_s=20)


@dataclass(frozen=True)
class Round:
    """What one round with `sessions` calls at once was like."""

    sessions: int
    connected: int
    asked: int
    answered: int
    lost: int
    utterances: int
    holes: int
    late_p95_ms: tuple[float, ...]
    """Of each call."""
    max_gap_ms: float
    caller_late_ms: float
    caller_percent: float
    server_percent: float
    others_percent: float = 0.0
    stolen_percent: float = 0.0

    @classmethod
    def of(cls, calls: Calls, turns: int, stolen_percent: float = 0.0) -> "Round":
        runs: Sequence[Run] = calls.runs
        return cls(
            sessions=len(runs),
            connected=sum(one.phases.dtls is not None for one in runs),
            asked=turns * len(runs),
            answered=sum(one.answered for one in runs),
            lost=sum(one.audio.lost for one in runs),
            utterances=sum(one.answered + bool(one.greeted) for one in runs),
            holes=sum(one.audio.gaps for one in runs),
            late_p95_ms=tuple(round(one.audio.late_p95_ms, 1) for one in runs),
            max_gap_ms=max(one.audio.max_gap_ms for one in runs),
            caller_late_ms=max(one.lag.speaking_p95_ms for one in runs),
            caller_percent=calls.caller_percent,
            server_percent=calls.server_percent,
            others_percent=calls.others_percent,
            stolen_percent=stolen_percent,
        )

    @property
    def fair(self) -> bool:
        return (
            self.caller_late_ms <= CALLER_LATE_MS
            and self.others_percent <= OTHERS_PERCENT
            and self.stolen_percent <= STOLEN_PERCENT
        )


def held(rounds: Sequence[Round]) -> bool:
    """The definition above; false for no rounds."""
    if not rounds or any(one.connected < one.sessions or one.answered < one.asked or one.lost for one in rounds):
        return False
    holes, utterances = sum(one.holes for one in rounds), sum(one.utterances for one in rounds)
    late = [ms for one in rounds for ms in one.late_p95_ms]
    return holes <= HOLES * utterances and quantile(late, 0.95) <= LATE_MS


def lost_anyway(rounds: Sequence[Round], sessions: int, planned: int) -> bool:
    """Whether these rounds are so bad that the ones still planned can be spared."""
    those = [one for one in rounds if one.sessions == sessions]
    if any(one.connected < one.sessions or one.answered < one.asked or one.lost for one in those):
        return True
    holes, utterances = sum(one.holes for one in those), sum(one.utterances for one in those)
    return bool(those) and holes > HOLES * utterances / len(those) * planned


def after(seconds: float, script: Script) -> Script:
    """The script with so much silence before its first word."""
    first, *others = script.turns
    count = round(seconds / FRAME_S)
    speech = Speech((silence(),) * count + first.speech.packets, first.speech.last_audible + count)
    return Script((Turn(first.text, speech), *others))


def most_held(rounds: Sequence[Round]) -> int:
    """The largest number that is held and below which every tried number is; 0 for none."""
    best = 0
    for sessions, same in groupby(sorted(rounds, key=lambda one: one.sessions), lambda one: one.sessions):
        if not held(list(same)):
            break
        best = sessions
    return best


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cores", type=int, choices=(1, 2), default=1, help="of the servers; the callers: see above")
    parser.add_argument("--rounds", type=int, default=2, help="with each number of calls")
    parser.add_argument("--joining", action="store_true", help="calls talk while others are still being set up")
    parser.add_argument("--first", type=int, default=3, help="calls at once to begin with")
    parser.add_argument("--last", type=int, default=12)
    return run(lambda args: asyncio.run(measure(args)), parser, argv)


async def measure(args: argparse.Namespace) -> Outcome:
    servers, callers = cores_of(args.cores)
    place = Place(servers, NICE)
    sides: tuple[Any, ...] = (Front(slots=args.last, warm=args.last, place=place), Runner(place=place))
    rounds: dict[str, list[Round]] = {side.name: [] for side in sides}
    going = list(sides)
    repeated = counted = 0
    for sessions in range(args.first, args.last + 1):
        script = Script.demo(2) if args.joining else after(sessions * STAGGER_S, Script.demo(2))
        for number in range(args.rounds):
            for side in going[number % 2 :] + going[: number % 2]:
                for _ in range(3):
                    one = await one_round(side, script, sessions, callers)
                    tell(told(side.name, one))
                    if one.fair:
                        break
                    repeated += 1
                else:
                    counted += 1
                rounds[side.name].append(one)
            going = [side for side in going if not lost_anyway(rounds[side.name], sessions, args.rounds)]
        going = [side for side in going if held([one for one in rounds[side.name] if one.sessions == sessions])]
        if not going:
            break
    outcome = judge(rounds, args.cores)
    if repeated:
        outcome.notes.append(
            f"{repeated} rounds were not fair (late callers, a busy machine, or cores taken away); "
            f"{counted} of them count all the same, for want of a better one"
        )
    return outcome


def cores_of(count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the servers and of the callers: one each, or the same two."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise SystemExit("this benchmark needs two cores: one for the callers")
    return ((mine[0],), (mine[1],)) if count == 1 else (tuple(mine[:2]), tuple(mine[:2]))


async def one_round(side: Any, script: Script, sessions: int, callers: Sequence[int]) -> Round:
    """On a server of its own: what the round before left behind is not there."""
    await asyncio.to_thread(wait_until_idle, 30.0)
    with side() as server:
        await asyncio.sleep(1)
        before = CpuTimes.now()
        calls = await together(
            server.callee, script, OPTIONS,
            sessions=sessions, stagger_s=STAGGER_S, cores=callers, server_cpu_s=server.cpu_s, watch_s=WATCH_S,
        )  # fmt: skip
        return Round.of(calls, len(script.turns), CpuTimes.now().stolen_since(before))


def told(name: str, one: Round) -> str:
    return (
        f"{name}, {one.sessions} calls: {one.connected} connected, {one.answered}/{one.asked} answered, "
        f"{one.holes} holes in {one.utterances} utterances, largest gap {one.max_gap_ms:.0f} ms, "
        f"late p95 {quantile(one.late_p95_ms, 0.95):.0f} ms, server {one.server_percent:.0f} % a call, "
        f"caller {one.caller_percent:.0f} % and {one.caller_late_ms:.0f} ms late, others {one.others_percent:.0f} %, "
        f"stolen {one.stolen_percent:.1f} %{'' if one.fair else ' (not fair)'}"
    )


def judge(rounds: dict[str, list[Round]], cores: int) -> Outcome:
    """`rounds` in the order: the front, the runner."""
    outcome = Outcome(f"talking calls with clean audio, {'one core' if cores == 1 else 'two cores'}")
    for name, done in rounds.items():
        for sessions, same in groupby(done, lambda one: one.sessions):
            those = list(same)
            outcome.rows.append(
                {
                    "side": name,
                    "calls": sessions,
                    "held": "yes" if held(those) else "no",
                    "holes": sum(one.holes for one in those),
                    "utterances": sum(one.utterances for one in those),
                    "late p95": quantile([ms for one in those for ms in one.late_p95_ms], 0.95),
                    "largest gap": max(one.max_gap_ms for one in those),
                    "answered": f"{sum(o.answered for o in those)}/{sum(o.asked for o in those)}",
                    "% core a call": quantile([one.server_percent for one in those], 0.5),
                    "caller %": quantile([one.caller_percent for one in those], 0.5),
                    "caller late": max(one.caller_late_ms for one in those),
                }
            )
    most = {name: most_held(done) for name, done in rounds.items()}
    ours, theirs = most.values()
    target = 1.0 if cores == 1 else 1.5
    outcome.ratios = [Ratio(f"calls held, {ours} / {theirs}", ours / max(theirs, 1), target, at_least=True)]
    return outcome


if __name__ == "__main__":
    sys.exit(main())
