"""What is said when: the caller waits for the greeting, speaks its turns, and listens to the answers, on any line."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from voicedeploy.call.barge import went_on
from voicedeploy.call.lines import Line
from voicedeploy.call.options import CallOptions
from voicedeploy.call.script import Script, Turn

LOOK_S = 0.02
"""How often the caller looks whether the bot is still talking; times are taken from packets, not from looks."""
OVERLAP_S = 0.2
"""A bot that was audible so shortly before the caller ended was talking over it."""
OVERLAPPED_S = 3.0
"""A bot that talked over the caller has most likely said all it wanted: an echo, say."""
TRUSTED_S = 3.0
"""A bot that says it is speaking, but is silent, is believed for so long."""
INTERRUPT_AFTER_S = 0.5
"""Who barges in lets the bot talk for so long first."""


@dataclass(frozen=True)
class Spoken:
    """One turn, in monotonic seconds. `went_on_s`: how long the bot talked on after the caller had begun."""

    turn: Turn
    began: float
    ended: float
    answered: float | None
    overlapped: bool
    went_on_s: float | None = None


class Conversation:
    def __init__(self, line: Line, script: Script, options: CallOptions, progress: Callable[[str], None]) -> None:
        self.spoken: list[Spoken] = []
        self._line = line
        self._script = script
        self._options = options
        self._progress = progress
        self._enough = not script.turns

    async def hold(self, *, since: float) -> None:
        """Returns when all is said, or when the bot has hung up."""
        line, turns = self._line, self._script.turns
        patience = self._options.greeting_timeout_s
        if await _until(lambda: line.ear.first_audible is not None or line.ended, patience) and not line.ended:
            self._progress(f"first word {(line.ear.first_audible or 0.0) - since:.2f} s")
            if self._options.greeting_suffices:
                self._enough = True
                return
            await self._let_talk(last=not turns)
        for number, turn in enumerate(turns, 1):
            if line.ended:
                break
            self._progress(f"turn {number} of {len(turns)}")
            await self._exchange(turn, last=number == len(turns))

    @property
    def convincing(self) -> bool:
        """The bot was heard, and answered (or talked over) at least one turn, if more than its greeting was wanted."""
        heard = self._line.ear.first_audible is not None
        return heard and (self._enough or any(one.answered is not None or one.overlapped for one in self.spoken))

    async def _exchange(self, turn: Turn, *, last: bool) -> None:
        line, ear = self._line, self._line.ear
        began = time.monotonic()
        said = line.say(turn.speech)
        patience = turn.speech.seconds + 2
        if not await _until(lambda: said.ended is not None or line.ended, patience) or said.ended is None:
            return
        ended = said.ended
        before = [p.arrival for p in ear.packets[-100:] if p.audible and p.arrival <= ended]
        overlapped = bool(before) and before[-1] > ended - OVERLAP_S

        def answer() -> float | None:
            return next((onset for onset in ear.onsets if onset > ended), None)

        patience = self._options.answer_timeout_s
        patience = min(patience, OVERLAPPED_S) if overlapped else patience
        await _until(lambda: answer() is not None or line.ended, patience)
        on = went_on(ear.audible(), said.began or began, ended) if self._options.barge_in else None
        self.spoken.append(Spoken(turn, began, ended, answer(), overlapped, on))
        if answer() is not None and (self._options.hear_out or not last):
            await self._let_talk(last=last)

    async def _let_talk(self, *, last: bool) -> None:
        """Returns when it is the caller's turn: when the bot is done, or sooner for a caller that barges in."""
        if self._options.barge_in and not last:
            onset = self._line.ear.onsets[-1]
            await _until(lambda: self._line.ended, onset + INTERRUPT_AFTER_S - time.monotonic())
        else:
            await self._listen_out()

    async def _listen_out(self) -> None:
        """Returns when the bot has been silent for `quiet_s`, and says nothing to the contrary itself."""

        def over() -> bool:
            silent = time.monotonic() - (self._line.ear.last_audible or 0.0)
            claims = self._line.transcript.speaking and silent < TRUSTED_S
            return self._line.ended or (silent >= self._options.quiet_s and not claims)

        await _until(over, self._options.monologue_timeout_s)


async def _until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - many conditions, one of them the clock
        await asyncio.sleep(LOOK_S)
    return done()
