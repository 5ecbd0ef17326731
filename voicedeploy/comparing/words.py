"""A comparison in plain sentences: who is good enough, who is later, and by what."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from voicedeploy.call import Verdict
from voicedeploy.call.report import OWN_LAG_MS
from voicedeploy.comparing.comparison import Apart, Comparison, Contrast, Outcome
from voicedeploy.comparing.difference import FEWEST, Difference

FIGURES = ("first word", "voice to voice")
PLACES = {"network": "network", "start": "start of the session", "bot": "bot"}
CURES = {
    "network": "a place nearer to your callers would do",
    "start": "its sessions start cold: keep one warm (`pool.warm`)",
    "bot": "the bot itself takes it: `voicedeploy check` names settings that cost time",
}


def verdict(made: Comparison) -> tuple[Verdict, ...]:
    return tuple(
        sentence
        for sentences in (
            _failures(made.outcomes),
            *(_goal(made.outcomes, at) for at in range(len(FIGURES))),
            _enough(made.outcomes),
            (said for contrast in made.contrasts for said in _apart(contrast)),
            (said for one in made.outcomes for said in _sound(one)),
            _late(made.outcomes),
        )
        for sentence in sentences
    )


def answer(made: Comparison) -> dict[str, Any]:
    """The JSON of `voicedeploy compare`."""
    return {**made.to_json(), "verdict": [asdict(sentence) for sentence in verdict(made)]}


def _failures(outcomes: Sequence[Outcome]) -> Iterator[Verdict]:
    for one in outcomes:
        summary = one.report.summary
        if summary.failed:
            why = ", ".join(f"{count} {layer}" for layer, count in summary.failures.items())
            yield Verdict(
                "heard", False, f"`{one.name}`: {summary.failed} of {len(one.report.runs)} calls failed: {why}."
            )


def _goal(outcomes: Sequence[Outcome], figure: int) -> Iterator[Verdict]:
    """Who meets what callers put up with, and what would help who does not."""
    reached = [(one, ms) for one in outcomes if (ms := _p50(one, figure)) is not None]
    if not reached:
        yield Verdict(FIGURES[figure], None, f"{FIGURES[figure].capitalize()}: nothing was measured.")
        return
    texts = dict.fromkeys(one.goals[figure].text for one, _ in reached)
    meeting = [one.name for one, ms in reached if ms <= one.goals[figure].most]
    text = f"{FIGURES[figure].capitalize()}: {_who(meeting, len(reached))} the {', or the '.join(texts)}."
    for one, ms in reached:
        if ms > one.goals[figure].most:
            text += f" {_short(one, ms, figure)}"
    yield Verdict(FIGURES[figure], len(meeting) == len(outcomes), text)


def _short(one: Outcome, ms: float, figure: int) -> str:
    """Why this side does not meet its goal: by the first piece without which it would, else by its largest."""
    made = one.made_of[FIGURES[figure].replace(" ", "_")]
    if made is None:
        return f"`{one.name}` takes {_s(ms)}."
    parts = {
        name: ms_ for name, ms_ in (("network", made.network), ("start", made.start), ("bot", made.bot)) if ms_ > 0
    }
    enough = [name for name in ("network", "start") if ms - parts.get(name, 0.0) <= one.goals[figure].most]
    why = enough[0] if enough else max(parts, key=parts.__getitem__)
    of_it = ", ".join(f"{name} {_s(ms_)}" for name, ms_ in parts.items() if ms_ >= 10)
    return f"`{one.name}` takes {_s(ms)}, of it {of_it}: {CURES[why]}."


def _enough(outcomes: Sequence[Outcome]) -> Iterator[Verdict]:
    good = [one.name for one in outcomes if one.good_enough]
    bad = [one.name for one in outcomes if one.good_enough is False]
    text = f"Good enough for your users: {_list(good) if good else 'none of them'}."
    if good and bad:
        text += f" Not good enough: {_list(bad)}."
    if good or bad:
        yield Verdict("good enough", not bad, text)


def _apart(contrast: Contrast) -> Iterator[Verdict]:
    for figure, apart in zip(FIGURES, (contrast.first_word, contrast.voice_to_voice), strict=True):
        if apart.total is not None:
            yield Verdict(f"{figure}, apart", None, difference(contrast, figure, apart, apart.total))


def difference(contrast: Contrast, figure: str, apart: Apart, total: Difference) -> str:
    name, against = f"`{contrast.name}`", f"`{contrast.against}`"
    if total.low is None or total.high is None:
        return (
            f"{figure.capitalize()}: {name} is {signed(total.median)} apart from {against}, "
            f"which may be chance: to tell, {FEWEST} rounds are needed, and there are {total.rounds}."
        )
    range_ = f"99 %: {signed(total.low)} to {signed(total.high)}"
    if not total.found:
        return f"{figure.capitalize()}: no difference found between {against} and {name} ({range_})."
    later = "later" if total.median > 0 else "sooner"
    text = f"{figure.capitalize()}: {name} is {_s(abs(total.median))} {later} than {against} ({range_})"
    of_it = made_of(apart)
    if not of_it:
        return f"{text}."
    sits = f" It sits in the {' and the '.join(PLACES[name] for name in apart.where)}." if apart.where else ""
    return f"{text}: {of_it}.{sits}"


def made_of(apart: Apart) -> str:
    """`network +0.31 s, bot +0.02 s`; what is nothing is left out."""
    parts = {
        name: piece.median for name, piece in apart.made_of.items() if piece is not None and abs(piece.median) >= 5
    }
    return ", ".join(f"{name} {signed(ms)}" for name, ms in parts.items())


def _sound(one: Outcome) -> Iterator[Verdict]:
    """Of what the report of its calls says, only what is wrong."""
    for sentence in one.report.verdict:
        if sentence.about == "audio" and sentence.holds is False:
            yield Verdict(sentence.about, False, f"`{one.name}`: {sentence.text}")


def _late(outcomes: Sequence[Outcome]) -> Iterator[Verdict]:
    """In most of the calls: one that met a hiccup moves no median."""
    lags = [max(run.lag.reading_p95_ms, run.lag.speaking_p95_ms) for one in outcomes for run in one.report.runs]
    if lags and median(lags) > OWN_LAG_MS:
        text = f"The caller itself was {median(lags):.0f} ms late in half of the calls: compare from another machine."
        yield Verdict("caller", False, text)


def _p50(one: Outcome, figure: int) -> float | None:
    summary = one.report.summary
    return (summary.first_word_ms, summary.voice_to_voice_ms)[figure].p50


def _who(names: Sequence[str], count: int) -> str:
    if not names:
        return "neither holds" if count == 2 else "none holds"
    if len(names) == count:
        return {1: f"{_list(names)} holds", 2: "both hold"}.get(count, "all hold")
    return f"only {_list(names)} {'holds' if len(names) == 1 else 'hold'}"


def _list(names: Sequence[str]) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _s(ms: float) -> str:
    return f"{ms / 1000:.2f} s"


def signed(ms: float) -> str:
    return f"{'−' if ms <= -5 else '+' if ms >= 5 else ''}{abs(ms) / 1000:.2f} s"
