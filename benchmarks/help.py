"""`voicedeploy --help` against importing the two libraries that every such command line imports."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Outcome, Ratio, median, run

VOICEDEPLOY = Path(sys.executable).with_name("voicedeploy")
COMMANDS = {
    "voicedeploy --help": [str(VOICEDEPLOY), "--help"],
    "python -c 'import typer, rich'": [sys.executable, "-c", "import typer, rich"],
}


@dataclass(frozen=True)
class Took:
    wall_ms: float
    cpu_ms: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.help", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    return run(lambda args: measure(args.rounds), parser, argv)


def measure(rounds: int) -> Outcome:
    took: dict[str, list[Took]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            one = timed(command)
            if number:  # the first fills the page cache
                took[name].append(one)
    return judge(took)


def timed(command: Sequence[str]) -> Took:
    """Raises CalledProcessError. CPU is user and system time of the process and what it waited for."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Took(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)


def judge(took: dict[str, list[Took]]) -> Outcome:
    """`took` in the order: the command, the imports."""
    outcome = Outcome("--help, ms (medians)")
    for name, values in took.items():
        outcome.rows.append(
            {
                "command": name,
                "wall": median([one.wall_ms for one in values]),
                "cpu": median([one.cpu_ms for one in values]),
                "runs": len(values),
            }
        )
    ours, theirs = took.values()
    outcome.ratios = [
        Ratio("wall", median([one.wall_ms for one in ours]) / median([one.wall_ms for one in theirs]), 1.5),
        Ratio("cpu", median([one.cpu_ms for one in ours]) / median([one.cpu_ms for one in theirs]), 1.5),
    ]
    return outcome


if __name__ == "__main__":
    sys.exit(main())
