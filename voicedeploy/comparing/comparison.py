"""Several deployments, called by turns, as values: each one's figures, and how far apart they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from voicedeploy.call import Report, Run
from voicedeploy.call import goals as callers
from voicedeploy.call.goals import Goal
from voicedeploy.call.run import rounded
from voicedeploy.comparing import pieces
from voicedeploy.comparing.difference import Difference
from voicedeploy.comparing.pieces import Pieces, Way

PHASES = ("start", "offer", "ice", "dtls", "first_word")
SHARE = 0.25
"""A piece that holds less of the difference is not where it sits."""


@dataclass(frozen=True)
class Outcome:
    """One side. The calls of `report` and the handshakes of `tcp_ms` are in the order of the rounds."""

    name: str
    report: Report
    tcp_ms: tuple[float | None, ...] = ()

    @property
    def ways(self) -> tuple[Way | None, ...]:
        return tuple(Way.of(tcp, run.round_trip_ms) for tcp, run in zip(self.tcp_ms, self.report.runs, strict=True))

    @property
    def way(self) -> Way | None:
        """The medians of all rounds."""
        tcp = [ms for ms in self.tcp_ms if ms is not None]
        media = [run.round_trip_ms for run in self.report.runs if run.round_trip_ms is not None]
        return Way.of(median(tcp) if tcp else None, median(media) if media else None)

    @property
    def first_words(self) -> tuple[Pieces | None, ...]:
        tls = self.report.url.startswith("https:")
        return tuple(
            pieces.first_word(run, way, tls=tls) if way and run.ok else None
            for run, way in zip(self.report.runs, self.ways, strict=True)
        )

    @property
    def made_of(self) -> dict[str, Pieces | None]:
        """The medians of each piece; they add up to about the median of the whole."""
        answers = [
            pieces.voice_to_voice(ms, way)
            for run, way in zip(self.report.runs, self.ways, strict=True)
            if way and run.ok
            for turn in run.turns
            if (ms := turn.voice_to_voice_ms) is not None
        ]
        return {"first_word": _median([one for one in self.first_words if one]), "voice_to_voice": _median(answers)}

    @property
    def goals(self) -> tuple[Goal, Goal]:
        """For the first word, and for voice to voice."""
        return callers.first_word(self.report.transport), callers.voice_to_voice(same_machine=self.report.same_machine)

    @property
    def good_enough(self) -> bool | None:
        """For the people who call: heard in every call, and within both goals. None where nothing was measured."""
        summary = self.report.summary
        reached = (summary.first_word_ms.p50, summary.voice_to_voice_ms.p50)
        if not self.report.ok:
            return False
        judged = [ms <= goal.most for ms, goal in zip(reached, self.goals, strict=True) if ms is not None]
        return all(judged) if judged else None

    def to_json(self) -> dict[str, Any]:
        way = self.way
        return {
            "name": self.name,
            "good_enough": self.good_enough,
            "round_trip_ms": {
                "signalling": rounded(way.signalling) if way else None,
                "media": rounded(way.media) if way else None,
                "assumed": way.assumed if way else True,
            },
            "made_of_ms": {name: made.to_json() if made else None for name, made in self.made_of.items()},
            **self.report.to_json(),
        }


@dataclass(frozen=True)
class Apart:
    """The difference in one figure, and in each of its pieces."""

    total: Difference | None
    made_of: dict[str, Difference | None]

    @property
    def where(self) -> tuple[str, ...]:
        """The pieces in which a difference that was found sits, the largest first."""
        if self.total is None or not self.total.found:
            return ()
        whole = self.total.median
        shares = {
            name: piece.median / whole for name, piece in self.made_of.items() if piece is not None and piece.found
        }
        return tuple(sorted((n for n, share in shares.items() if share >= SHARE), key=shares.__getitem__, reverse=True))

    def to_json(self) -> dict[str, Any]:
        return {
            **(self.total.to_json() if self.total else {"found": False, "rounds": 0}),
            "made_of": {name: piece.to_json() if piece else None for name, piece in self.made_of.items()},
            "where": list(self.where),
        }


@dataclass(frozen=True)
class Contrast:
    """`name` against `against`, which is the side that was named first."""

    name: str
    against: str
    first_word: Apart
    voice_to_voice: Apart
    phases: dict[str, Difference | None]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "against": self.against,
            "first_word": self.first_word.to_json(),
            "voice_to_voice": self.voice_to_voice.to_json(),
            "phases": {name: phase.to_json() if phase else None for name, phase in self.phases.items()},
        }


@dataclass(frozen=True)
class Comparison:
    outcomes: tuple[Outcome, ...]

    @property
    def rounds(self) -> int:
        return len(self.outcomes[0].report.runs)

    @property
    def ok(self) -> bool:
        return all(one.report.ok for one in self.outcomes)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        first, *others = self.outcomes
        return tuple(_contrast(other, first) for other in others)

    def to_json(self) -> dict[str, Any]:
        return {
            "rounds": self.rounds,
            "sides": [one.to_json() for one in self.outcomes],
            "differences": [contrast.to_json() for contrast in self.contrasts],
        }


def _median(all_: Sequence[Pieces]) -> Pieces | None:
    if not all_:
        return None
    return Pieces(*(median(getattr(one, name) for one in all_) for name in ("network", "start", "bot")))


def _contrast(other: Outcome, first: Outcome) -> Contrast:
    return Contrast(
        other.name,
        first.name,
        Apart(
            Difference.of(_apart(other, first, lambda run: run.first_word_ms)),
            {
                name: Difference.of(
                    getattr(late, name) - getattr(early, name)
                    for late, early in zip(other.first_words, first.first_words, strict=True)
                    if late and early
                )
                for name in ("network", "start", "bot")
            },
        ),
        _answers(other, first),
        {name: Difference.of(_apart(other, first, lambda run, n=name: getattr(run.phases, n))) for name in PHASES},  # type: ignore[misc]
    )


def _apart(other: Outcome, first: Outcome, figure: Callable[[Run], float | None]) -> Iterator[float]:
    """One difference for each round in which both were heard."""
    for late, early in zip(other.report.runs, first.report.runs, strict=True):
        if late.ok and early.ok and (a := figure(late)) is not None and (b := figure(early)) is not None:
            yield a - b


def _answers(other: Outcome, first: Outcome) -> Apart:
    """Voice to voice of the same turn of the same round: the mean of a round's turns, as they share its weather."""
    whole: list[float] = []
    made: dict[str, list[float]] = {"network": [], "bot": []}
    rounds = zip(other.report.runs, first.report.runs, other.ways, first.ways, strict=True)
    for late, early, far, near in rounds:
        turns = [
            (a, b)
            for one, two in zip(late.turns, early.turns, strict=False)
            if (a := one.voice_to_voice_ms) is not None and (b := two.voice_to_voice_ms) is not None
        ]
        if not (late.ok and early.ok and turns):
            continue
        whole.append(mean(a - b for a, b in turns))
        if far and near:
            both = [(pieces.voice_to_voice(a, far), pieces.voice_to_voice(b, near)) for a, b in turns]
            for name, values in made.items():
                values.append(mean(getattr(a, name) - getattr(b, name) for a, b in both))
    return Apart(Difference.of(whole), {name: Difference.of(values) for name, values in made.items()})
