"""What happened in a call, as the values of a run. What each number means is in docs/decisions/0005."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from voicedeploy.call.audio import FRAME_S, dbfs
from voicedeploy.call.conversation import Spoken
from voicedeploy.call.lines import Line
from voicedeploy.call.rtp import Packet, health
from voicedeploy.call.run import Exchange, Failure, Lag, Phases, Run

LEVEL_FRAMES = 3
NOTHING_S = 0.1


@dataclass
class Clock:
    """Monotonic seconds of what the caller did; None: not yet, or not at all."""

    opened: float
    first_try: float | None = None
    start_sent: float | None = None
    started: float | None = None
    hung_up: float | None = None
    token_s: float | None = None
    connect_s: float | None = None


class Account:
    def __init__(
        self, line: Line, spoken: Sequence[Spoken], clock: Clock, session_id: str | None, *, bought: bool
    ) -> None:
        self._line = line
        self._spoken = spoken
        self._clock = clock
        self._session_id = session_id
        self._bought = bought

    def run(self, failure: Failure | None, began_at: str) -> Run:
        clock, line, moments = self._clock, self._line, self._line.moments
        start = clock.start_sent if clock.start_sent is not None else clock.opened
        end = clock.hung_up or time.monotonic()
        first = self._first_word(start)
        greeted = None if moments.dtls is None else bool(first and first[1])
        ahead_ms = line.ahead_ms()
        return Run(
            ok=failure is None,
            started_at=began_at,
            session_id=self._session_id,
            error=failure,
            phases=Phases(
                start=_ms(clock.start_sent, clock.started),
                offer=_ms(clock.started, moments.answered),
                ice=_ms(moments.answered, moments.ice),
                dtls=_ms(moments.ice, moments.dtls),
                first_word=first[0] if first else None,
            ),
            first_word_ms=first[3] if first else None,
            greeted=greeted,
            left_out_ms=first[2] if first else 0.0,
            greeting=line.transcript.said_between(0.0, self._spoken[0].began if self._spoken else end),
            turns=tuple(self._exchanges(start, end)),
            candidate_pair=line.pair(),
            audio=health(line.ear.packets),
            ahead_ms=ahead_ms,
            lag=self._lag(),
            token_ms=clock.token_s * 1000 if clock.token_s and self._bought else None,
            connect_ms=clock.connect_s * 1000 if clock.connect_s is not None else None,
            gather_ms=_ms(clock.started, moments.gathered),
            round_trip_ms=median(trips) * 1000 if (trips := line.round_trips()) else None,
            waited_ms=_ms(clock.first_try, start) or 0.0,
            duration_ms=(end - start) * 1000,
            same_machine=line.on_same_machine(),
            notes=tuple(self._notes(greeted)),
            levels=tuple(self._levels(start)),
        )

    def silence(self) -> Failure:
        """Why a bot that was connected was not heard, or gave no answer."""
        line = self._line
        judged = health(line.ear.packets)
        errors = line.transcript.errors
        last = f"; over RTVI it said: {errors[-1]}" if errors else ""
        logs = f"voicedeploy logs --session {self._session_id}" if self._session_id else "voicedeploy logs"
        hint = f"`{logs}`: is a service's key missing, or did it fail?"
        if line.ear.first_audible is not None:
            what = "the bot spoke, but gave no answer to what was said to it"
            hint = "speech-to-text or the language model gave nothing: " + hint
        elif broken := line.broken():
            return broken
        elif line.ended:
            what = "the bot ended the call before it said anything"
        elif not judged.packets:
            what = "connected, but no audio packet came"
            hint = "does the bot's transport have `audio_out_enabled=True`? " + hint
        else:
            what = f"connected, and {judged.packets} packets came, all silent (loudest {dbfs(judged.loudest):.0f} dBFS)"
        return Failure("silent", what + last, hint)

    def _first_word(self, start: float) -> tuple[float, bool, float, float] | None:
        """Milliseconds of the phase, whether the bot spoke unasked, milliseconds left out, and the whole."""
        open_, heard = self._line.moments.dtls, self._line.ear.first_audible
        if open_ is None or heard is None:
            return None
        asked = self._spoken[0].ended if self._spoken else None
        if asked is None or heard <= asked:
            return (heard - open_) * 1000, True, 0.0, (heard - start) * 1000
        return (heard - asked) * 1000, False, (asked - open_) * 1000, (heard - start - (asked - open_)) * 1000

    def _exchanges(self, start: float, end: float) -> list[Exchange]:
        transcript = self._line.transcript
        ends = [*(later.began for later in self._spoken[1:]), end + 1]
        return [
            Exchange(
                asked=one.turn.text,
                voice_to_voice_ms=_ms(one.ended, one.answered),
                heard=transcript.heard_between(one.began, until),
                said=transcript.said_between(one.began, until),
                overlapped=one.overlapped,
                spoke_from_ms=(one.began - start) * 1000,
                spoke_until_ms=(one.ended - start) * 1000,
                barge_in_ms=one.went_on_s * 1000 if one.went_on_s is not None else None,
            )
            for one, until in zip(self._spoken, ends, strict=False)
        ]

    def _notes(self, greeted: bool | None) -> list[str]:
        notes = []
        if greeted is False and self._spoken:
            notes.append(
                "the bot does not greet: the first word is set-up plus its first answer, "
                "without the time in which the caller waited and spoke"
            )
        if self._line.ended and self._line.moments.dtls is not None:
            broken = self._line.broken()
            notes.append(broken.message if broken else "the bot hung up")
        if over := sum(one.overlapped for one in self._spoken):
            notes.append(f"the bot talked over the end of {over} of {len(self._spoken)} turns")
        if unanswered := sum(one.answered is None and not one.overlapped for one in self._spoken):
            notes.append(f"{unanswered} of {len(self._spoken)} turns got no answer")
        errors = self._line.transcript.errors
        return [*notes, *(f"the bot reports an error: {error}" for error in dict.fromkeys(errors))]

    def _lag(self) -> Lag:
        reading, speaking = sorted(self._line.ear.reading), sorted(self._line.lateness())
        return Lag(_share(reading), _share(reading, 1.0), _share(speaking), _share(speaking, 1.0))

    def _levels(self, start: float) -> list[tuple[float, float]]:
        levels: list[tuple[float, float]] = []
        for stretch in _stretches(self._line.ear.packets):
            for at in range(0, len(stretch), LEVEL_FRAMES):
                level = dbfs(max(p.peak for p in stretch[at : at + LEVEL_FRAMES]))
                levels.append((round((stretch[at].arrival - start) * 1000), round(level)))
            levels.append((round((stretch[-1].arrival + FRAME_S - start) * 1000), round(dbfs(0))))
        return levels


def _stretches(packets: Sequence[Packet]) -> Iterator[Sequence[Packet]]:
    """Between them nothing came, or nothing was played."""
    if not packets:
        return
    edges = [at for at, (a, b) in enumerate(pairwise(packets), 1) if b.arrival - a.arrival > NOTHING_S]
    for begin, end in pairwise([0, *edges, len(packets)]):
        yield packets[begin:end]


def _ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else (end - start) * 1000


def _share(ordered: list[float], share: float = 0.95) -> float:
    return ordered[int(share * (len(ordered) - 1))] * 1000 if ordered else 0.0
