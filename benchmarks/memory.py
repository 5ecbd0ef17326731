"""Memory of one more call: forked from a parent that has loaded the bot, against a process of its own."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.callers import silent_turn, together
from benchmarks.outcome import Outcome, Ratio, median, run, tell
from benchmarks.servers import Front, Runner, Server
from voicedeploy.call import CallOptions, Script, call

MIB = 1024 * 1024
HOLD_S = 12.0
"""How long the calls are silent; memory is read in the middle."""
OPTIONS = CallOptions(greeting_timeout_s=8, answer_timeout_s=0.1, quiet_s=0.3)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each side, in turns")
    parser.add_argument("--calls", type=int, default=4, help="at once")
    return run(lambda args: asyncio.run(measure(args.rounds, args.calls)), parser, argv)


async def measure(rounds: int, calls: int) -> Outcome:
    fork = Front("forked", slots=calls, warm=0, isolation="fork")
    spawn = Front("a process of its own", slots=calls, warm=0, isolation="spawn")
    runner = Runner()
    each: dict[str, list[float]] = {side.name: [] for side in (fork, spawn)}
    more: dict[str, list[float]] = {side.name: [] for side in (fork, spawn, runner)}
    for number in range(rounds):
        for side in (fork, spawn, runner):
            # One side at a time: libraries mapped by both would be counted half in each.
            with side() as server:
                own, added = await _pss_of_calls(server, calls)
                more[side.name].append(added)
                if server.client is not None:
                    each[side.name] += own
        tell(f"round {number + 1}: one more call takes {', '.join(f'{n} {v[-1]:.0f} MiB' for n, v in more.items())}")
    return judge(each, more)


async def _pss_of_calls(server: Server, calls: int) -> tuple[list[float], float]:
    """MiB of each call's process, and by how much the whole family grew for each call."""
    first = await call(server.callee, Script(()), OPTIONS)  # what is done once only
    if not first.ok:
        raise RuntimeError(f"{server.name}: {first.error}")
    await asyncio.to_thread(server.settle)
    await asyncio.sleep(0.5)
    before = _family_pss(server)
    calling = asyncio.create_task(
        together(server.callee, Script((silent_turn(HOLD_S),)), OPTIONS, sessions=calls, stagger_s=0.3)
    )
    try:
        pids: list[int] = []
        deadline = asyncio.get_running_loop().time() + 60
        while len(_connected(server)) < calls and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await asyncio.sleep(HOLD_S / 2)
        pids = _connected(server)
        own = [pss(pid) / MIB for pid in pids]
        added = (_family_pss(server) - before) / MIB / calls
        if server.client is not None and len(pids) != calls:
            raise RuntimeError(f"{len(pids)} of {calls} calls are there")
    finally:
        done = await calling
    if not all(one.greeted for one in done.runs):
        raise RuntimeError(f"{server.name}: not every bot was heard")
    return own, added


def _connected(server: Server) -> list[int]:
    if server.client is None:
        return [server.process.pid] * 99
    return [session.pid for session in server.client.status().sessions if session.state == "connected" and session.pid]


def _family_pss(server: Server) -> float:
    return float(sum(pss(process.pid) for process in server.family()))


def pss(pid: int) -> int:
    """Bytes, pages that n processes share counted as an n-th. 0 for a process that has gone."""
    try:
        return parse_pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0


def parse_pss(rollup: str) -> int:
    """Bytes, from the text of smaps_rollup."""
    for line in rollup.splitlines():
        name, _, rest = line.partition(":")
        if name == "Pss":
            return int(rest.split()[0]) * 1024
    raise ValueError("smaps_rollup has no Pss")


def judge(each: dict[str, list[float]], more: dict[str, list[float]]) -> Outcome:
    """`each` in the order: forked, a process of its own."""
    outcome = Outcome("memory of one idle call, MiB of PSS (medians)")
    for name, added in more.items():
        own = f"{median(each[name]):.1f}" if name in each else "-"
        outcome.rows.append({"side": name, "its process": own, "all processes grow by": median(added)})
    forked, spawned, _ = (median(values) for values in more.values())
    outcome.ratios = [Ratio("one more call, forked / a process of its own", forked / spawned, 1 / 4)]
    outcome.notes.append(
        "A forked process's own PSS has its share of what it has in common with its parent, which is there without "
        "any call; by how much all processes grow is what one more call costs."
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main())
