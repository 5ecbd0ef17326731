"""A changed line comes to a host while somebody talks to the bot there: `voicedeploy up`, and two usual ways.

One host of the lab (systemd, sshd, Debian's Caddy) has all three. In each round and on each way one call runs, while
the bot's greeting is changed and brought over; beside it a second caller calls again and again and listens to who
greets it.

- *live*: from the command to the first of those calls that the new code greets.
- *turned away*: how long of that the second caller reached nobody.
- *calls cut*: the running call did not get its last answer. *lost* are packets that a call misses which was not cut.

Needs what `scripts/test --lab` needs, and docker from Debian's archive, which it installs on the lab's host.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from benchmarks.outcome import Outcome, Ratio, Row, median, run, tell
from benchmarks.ways import Container, Ours, Restart, Way
from tests.lab import hosts
from tests.lab.ssh import SPEECH, Desk
from voicedeploy.call import Callee, CallOptions, Script, call
from voicedeploy.call.many import call_many

PATIENCE = CallOptions(
    transport="webrtc", greeting_suffices=True, http_timeout_s=3, connect_timeout_s=3, greeting_timeout_s=3
)
PAUSE_S = 0.25
LIVE_WITHIN_S = 150.0
"""systemd kills after 90 s what does not want to end."""


@dataclass(frozen=True)
class Deploy:
    live_s: float
    away_s: float
    command_s: float
    cut: bool
    lost: int
    max_gap_ms: float
    refusals: tuple[str, ...]
    """What the second caller was told, each once."""


class Listener(Thread):
    """Calls until `heard` greets it, and for `LIVE_WITHIN_S` at most."""

    def __init__(self, callee: Callee, heard: str) -> None:
        super().__init__(daemon=True)
        self._callee = callee
        self._heard = heard
        self.ready = Event()
        self.live_at: float | None = None
        self.away_s = 0.0
        self.refusals: dict[str, None] = {}

    def run(self) -> None:
        asyncio.run(self._listen())

    def until_ready(self) -> None:
        if not self.ready.wait(30):
            raise RuntimeError("nobody was there before")

    def until_live(self) -> float:
        """When the call began that `heard` greeted, by the monotonic clock."""
        self.join()
        if self.live_at is None:
            raise RuntimeError(f"the new code was not heard within {LIVE_WITHIN_S:.0f} s")
        return self.live_at

    async def _listen(self) -> None:
        until = time.monotonic() + LIVE_WITHIN_S
        nobody_since: float | None = None
        while time.monotonic() < until:
            began = time.monotonic()
            made = await call(self._callee, Script(()), PATIENCE)
            if made.error is not None:
                nobody_since = nobody_since or began
                self.refusals[made.error.message] = None
            else:
                self.ready.set()
                if nobody_since is not None:
                    self.away_s += began - nobody_since
                    nobody_since = None
                if made.greeting == self._heard:
                    self.live_at = began
                    return
            await asyncio.sleep(PAUSE_S)


class Talk(Thread):
    """The call that runs meanwhile, so long that no deploy outlasts it."""

    def __init__(self, callee: Callee, sentences: int) -> None:
        super().__init__(daemon=True)
        self._callee = callee
        self._script = Script.from_files([SPEECH / "hello.wav"] * sentences)
        self.made: Any = None

    def run(self) -> None:
        self.made = asyncio.run(call_many(self._callee, self._script, CallOptions(transport="webrtc"))).runs[0]


def measure_one(way: Way, number: int, sentences: int) -> Deploy:
    greeting = f"release {number} of {way.name}"
    callee = way.callee()
    talk, listener = Talk(callee, sentences), Listener(callee, greeting)
    talk.start()
    listener.start()
    listener.until_ready()
    time.sleep(5)
    began = time.monotonic()
    way.deploy(greeting)
    command_s = time.monotonic() - began
    live_at = listener.until_live()
    talk.join()
    made = talk.made
    cut = len(made.turns) < sentences or not all(turn.voice_to_voice_ms is not None for turn in made.turns)
    found = Deploy(
        live_s=live_at - began,
        away_s=listener.away_s,
        command_s=command_s,
        cut=cut,
        lost=made.audio.lost,
        max_gap_ms=made.audio.max_gap_ms or 0.0,
        refusals=tuple(listener.refusals),
    )
    tell(f"{way.name}: {found}")
    return found


def measure(args: argparse.Namespace) -> Outcome:
    with TemporaryDirectory(prefix="vdb-") as folder:
        try:
            host = hosts.make("bench")
            desk = Desk(Path(folder) / "desk", forks=False)
            desk.add(host)
            ways: list[Way] = [
                Ours(host, desk),
                Restart(host, desk, Path(folder) / "restart", 8081),
                Container(host, desk, Path(folder) / "container", 8082),
            ]
            for way in reversed(ways):  # ours last: its lines in Caddy's file stay
                tell(f"preparing: {way.name}")
                way.prepare()
            found: dict[str, list[Deploy]] = {way.name: [] for way in ways}
            for number in range(args.rounds):
                for way in ways:
                    found[way.name].append(measure_one(way, number, args.sentences))
        finally:
            hosts.drop_all()
    return outcome(found)


def outcome(found: dict[str, list[Deploy]]) -> Outcome:
    rows: list[Row] = [
        {
            "way": name,
            "live s": median([one.live_s for one in deploys]),
            "turned away s": median([one.away_s for one in deploys]),
            "calls cut": f"{sum(one.cut for one in deploys)} of {len(deploys)}",
            "lost": sum(one.lost for one in deploys if not one.cut),
            "largest gap ms": max((one.max_gap_ms for one in deploys if not one.cut), default=0.0),
            "command s": median([one.command_s for one in deploys]),
        }
        for name, deploys in found.items()
    ]
    ours, *others = found.values()
    quickest = min(median([one.live_s for one in deploys]) for deploys in others)
    ratios = [
        Ratio("live, ours to the quicker usual way", median([one.live_s for one in ours]) / quickest, 1.0),
        Ratio("calls cut by ours", float(sum(one.cut for one in ours)), 0.0),
    ]
    return Outcome("release", rows, ratios, details={"deploys": json.loads(json.dumps(found, default=vars))})


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.release", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=35, help="of the running call; 35 take some two minutes")
    return run(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
