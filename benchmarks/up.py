"""What `voicedeploy up` takes for a changed line on a host of the lab, step by step, and where nothing has changed.

*live* is from the command to the first call that the new release greets; what `up` does after that is its own call from
this machine. Needs what `scripts/test --lab` needs.
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.outcome import Outcome, Ratio, Row, median, run, tell
from benchmarks.release import Listener
from benchmarks.ways import Ours
from tests.lab import hosts
from tests.lab.ssh import Desk

_STEP = re.compile(r"\S (?P<step>\w+) .* (?P<seconds>\d+\.\d) s")
LOOKING = "look at the host, plan"


@dataclass(frozen=True)
class Up:
    seconds: float
    steps: dict[str, float]
    live_s: float = 0.0


def typed(desk: Desk, host: hosts.Host) -> Up:
    """`up` as on a terminal; its lines are timed by itself, all before the first one by us."""
    began = time.monotonic()
    up = desk.popen("up", "--host", host.name, "--yes")
    assert up.stderr is not None
    steps: dict[str, float] = {}
    lines = []
    for line in up.stderr:
        lines.append(line)
        if found := _STEP.fullmatch(line.rstrip()):
            if not steps:
                steps[LOOKING] = time.monotonic() - began - float(found["seconds"])
            steps[found["step"]] = steps.get(found["step"], 0.0) + float(found["seconds"])
    up.wait()
    if up.returncode:
        raise RuntimeError("up failed: " + "".join(lines))
    return Up(time.monotonic() - began, steps)


def measure(args: argparse.Namespace) -> Outcome:
    with TemporaryDirectory(prefix="vdb-") as folder:
        try:
            host = hosts.make("bench")
            desk = Desk(Path(folder) / "desk", forks=False)
            desk.add(host)
            ours = Ours(host, desk)
            tell("the first up")
            ours.prepare()
            changed, unchanged = [], []
            for number in range(args.rounds):
                changed.append(one(ours, desk, host, number))
                unchanged.append(typed(desk, host))
                tell(f"{changed[-1]}; nothing to change: {unchanged[-1].seconds:.2f} s")
        finally:
            hosts.drop_all()
    return outcome(changed, unchanged)


def one(ours: Ours, desk: Desk, host: hosts.Host, number: int) -> Up:
    greeting = f"release {number}"
    listener = Listener(ours.callee(), greeting)
    listener.start()
    listener.until_ready()
    ours.write(greeting)
    began = time.monotonic()
    up = typed(desk, host)
    return Up(up.seconds, up.steps, listener.until_live() - began)


def outcome(changed: Sequence[Up], unchanged: Sequence[Up]) -> Outcome:
    names = dict.fromkeys(name for up in changed for name in up.steps)
    rows: list[Row] = [
        {"step": name, "s": round(median([up.steps.get(name, 0.0) for up in changed]), 2)} for name in names
    ]
    rows.append({"step": "the whole command", "s": round(median([up.seconds for up in changed]), 2)})
    bounds = [
        Ratio("a changed line is live, s", median([up.live_s for up in changed]), 8.0),
        Ratio("nothing to change, s", median([up.seconds for up in unchanged]), 2.0),
    ]
    return Outcome("up", rows, bounds, details={"changed": [vars(up) for up in changed]})


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.up", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    return run(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
