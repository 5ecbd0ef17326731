"""Comparisons whose numbers are made up."""

from collections.abc import Sequence
from dataclasses import replace

from tests.call.test_report import ENVIRONMENT, FAILED, GOOD
from voicedeploy.call import CandidatePair, Exchange, Phases, Report, Run
from voicedeploy.comparing import Comparison, Outcome

ELSEWHERE = replace(GOOD, same_machine=False, candidate_pair=CandidatePair("host 10.0.0.1:4", "srflx 198.51.100.7:5"))


def heard(*, trip: float, start: float = 5.0, bot: float = 100.0, answer: float = 300.0, noise: float = 0.0) -> Run:
    """A call over a way of `trip` ms, on a connection that stood already: five round trips to the first word."""
    phases = Phases(trip + start, trip + 20, trip, trip, trip + bot + noise)
    total = phases.total
    assert total is not None
    turns = (Exchange("hello", trip + answer + noise), Exchange("time", trip + answer + 40 + noise))
    return replace(
        ELSEWHERE, phases=phases, first_word_ms=total, turns=turns, round_trip_ms=trip, token_ms=8.0, gather_ms=0.0
    )


def outcome(
    name: str, runs: Sequence[Run], *, tcp: float | None = None, url: str = "", transport: str = "webrtc"
) -> Outcome:
    """`tcp`: the handshakes, where they are not as long as the way of media."""
    report = Report(url or f"http://{name}.example.org", tuple(runs), ENVIRONMENT, transport=transport)
    return Outcome(name, report, tuple(run.round_trip_ms if tcp is None else tcp for run in runs))


def comparison(*outcomes: Outcome) -> Comparison:
    return Comparison(outcomes)


__all__ = ["ELSEWHERE", "FAILED", "comparison", "heard", "outcome"]
