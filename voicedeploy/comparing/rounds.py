"""The calls themselves: in each round one of every side, and who is called first changes from round to round."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from voicedeploy.call import Callee, CallOptions, Environment, Report, Run, Script, settled
from voicedeploy.call.client import place, warm_up
from voicedeploy.comparing.comparison import Comparison, Outcome
from voicedeploy.comparing.knock import round_trip_ms
from voicedeploy.errors import UsageError

REST_S = 1.0
"""Between two calls: a front gets the next process ready, which the call after must not pay for."""
GIVE_UP = 3
"""Rounds in which a side was not heard once, and after which it will not be."""
BUSY_WAIT_S = 30.0


@dataclass(frozen=True)
class Side:
    """`name` is what the report calls it."""

    name: str
    callee: Callee


@dataclass(frozen=True)
class Progress:
    """`run` is set when that call has ended."""

    done: int
    total: int
    side: str
    text: str
    run: Run | None = None


async def compare(
    sides: Sequence[Side],
    script: Script,
    options: CallOptions | None = None,
    *,
    rounds: int = 20,
    progress: Callable[[Progress], None] | None = None,
) -> Comparison:
    """Calls every side once in each of `rounds`. Changes nothing at any of them.

    Ends early where a side was not heard in three rounds. Each side is called over its own transport unless the options
    name one. Never raises for what a side does.
    """
    if len(sides) < 2 or len({side.name for side in sides}) < len(sides):
        raise UsageError("two or more sides are compared, each with a name of its own", hint="name them: NAME=SIDE")
    options = options or CallOptions(busy_wait_s=BUSY_WAIT_S)
    hows = [await settled(side.callee, options) for side in sides]
    for transport in {how.transport for how in hows}:
        await warm_up(transport)
    before = Environment.here()
    tell = progress or (lambda _: None)
    runs: list[list[Run]] = [[] for _ in sides]
    ways: list[list[float | None]] = [[] for _ in sides]
    done, total = 0, rounds * len(sides)
    for number in range(rounds):
        for at in order(number, len(sides)):
            if done:
                await asyncio.sleep(REST_S)
            told = Progress(done, total, sides[at].name, "")
            ways[at].append(await round_trip_ms(sides[at].callee))
            run = await place(sides[at].callee, script, hows[at], partial(_tell, tell, told))
            runs[at].append(run)
            done += 1
            tell(replace(told, done=done, text="ok" if run.ok else "failed", run=run))
        if any(len(made) == GIVE_UP and not any(run.ok for run in made) for made in runs):
            break
    return Comparison(
        tuple(
            Outcome(side.name, Report(side.callee.url, tuple(made), before, transport=how.transport), tuple(way))
            for side, how, made, way in zip(sides, hows, runs, ways, strict=True)
        )
    )


def _tell(tell: Callable[[Progress], None], told: Progress, text: str) -> None:
    tell(replace(told, text=text))


def order(number: int, count: int) -> list[int]:
    """Who is called when in a round. Nobody is always first, or always after the same one, whose end may disturb."""
    turned = [(number // 2 + at) % count for at in range(count)]
    return turned[::-1] if number % 2 else turned
