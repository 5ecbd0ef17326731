"""A comparison as one page: the numbers as tables, and pictures."""

from collections.abc import Callable, Sequence
from html import escape

from voicedeploy.call.frame import (
    CALLER,
    PHASES,
    Figure,
    filled,
    framed,
    health,
    limit,
    milliseconds,
    said,
    seconds,
    tiles,
)
from voicedeploy.call.report import Summary
from voicedeploy.call.run import rounded
from voicedeploy.comparing.comparison import Comparison, Outcome
from voicedeploy.comparing.difference import Difference
from voicedeploy.comparing.words import answer, verdict

COLOURS = ("#5b7fd9", "#e0705c", "#43b08a", "#d9a43b", "#9b6fd0", "#3fa7c4")
PIECES = {"network": "#3fa7c4", "start": "#d9a43b", "bot": "#5b7fd9"}
FIGURES = {"first_word": "first word", "voice_to_voice": "voice to voice"}


def page(made: Comparison) -> str:
    """Everything that came from outside is escaped: a side may be called what it likes."""
    figures = {
        "made_of": _made_of(made.outcomes),
        "apart": _apart(made),
        "phases": _phases(made.outcomes),
        "first_word": _boxes(made.outcomes, 0, _first_words),
        "voice_to_voice": _boxes(made.outcomes, 1, _answers),
        "rounds": _rounds(made.outcomes),
        "audio": _audio(made.outcomes),
    }
    names = " and ".join(one.name for one in made.outcomes)
    first = made.outcomes[0]
    began = min((run.started_at for one in made.outcomes for run in one.report.runs), default="")
    slots = {
        "title": escape(f"{names}, side by side"),
        "counted": escape(f"{made.rounds} rounds: the same call to each, by turns"),
        "when": escape(began[:19].replace("T", " ") + " UTC"),
        "tiles": tiles([_tile(one) for one in made.outcomes]),
        "verdict": said([(sentence.holds, sentence.text) for sentence in verdict(made)]),
        "failures": _failures(made.outcomes),
        "names": "".join(f"<th>{escape(one.name)}</th>" for one in made.outcomes),
        "rows": _rows(made.outcomes),
        "against": escape(first.name),
        "environment": _environment(made),
    }
    body = filled("voicedeploy.comparing", "compare.html", slots)
    return framed(f"{names}, side by side", body, figures, answer(made))


# ---------------------------------------------------------------- words and tables


def _tile(one: Outcome) -> tuple[str, str, str]:
    summary = one.report.summary
    return (
        one.name,
        {True: "good enough", False: "not good enough", None: "–"}[one.good_enough],
        f"{seconds(summary.first_word_ms.p50)} to the first word, {seconds(summary.voice_to_voice_ms.p50)} "
        "voice to voice",
    )


def _failures(outcomes: Sequence[Outcome]) -> str:
    seen: dict[tuple[str, str, str, str], int] = {}
    for one in outcomes:
        for error in (run.error for run in one.report.runs if run.error):
            key = (one.name, error.layer, error.message, error.hint)
            seen[key] = seen.get(key, 0) + 1
    items = "".join(
        f"<li><b>{escape(name)}: {escape(layer)}</b> ×{count}<br>{escape(message)}<br><em>{escape(hint)}</em></li>"
        for (name, layer, message, hint), count in seen.items()
    )
    return f'<section><h2>What failed</h2><ul class="failures">{items}</ul></section>' if items else ""


def _rows(outcomes: Sequence[Outcome]) -> str:
    def lost(summary: Summary) -> str:
        return f"{summary.lost / (summary.packets + summary.lost):.1%}" if summary.packets else "–"

    summaries = [one.report.summary for one in outcomes]
    ways = [one.way for one in outcomes]
    rows = (
        ("heard", [f"{s.ok} of {s.ok + s.failed}" for s in summaries]),
        ("transport", [one.report.transport for one in outcomes]),
        ("round trip of requests", [milliseconds(way.signalling) if way else "–" for way in ways]),
        ("round trip of media", [milliseconds(way.media) if way else "–" for way in ways]),
        ("first word", [seconds(s.first_word_ms.p50) for s in summaries]),
        ("first word, p95", [seconds(s.first_word_ms.p95) for s in summaries]),
        *(
            (f"phase {name.replace('_', ' ')}", [milliseconds(s.phases_ms[name].p50) for s in summaries])
            for name in PHASES
        ),
        ("voice to voice", [seconds(s.voice_to_voice_ms.p50) for s in summaries]),
        ("voice to voice, p95", [seconds(s.voice_to_voice_ms.p95) for s in summaries]),
        ("lost", [lost(s) for s in summaries]),
        ("jitter", [milliseconds(s.jitter_ms.p50) for s in summaries]),
        ("largest gap", [milliseconds(s.max_gap_ms.p50) for s in summaries]),
    )
    return "".join(
        f"<tr><th>{escape(name)}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for name, cells in rows
    )


def _environment(made: Comparison) -> str:
    env = made.outcomes[0].report.environment
    facts = {
        "called from": f"{env.system}, {env.cores} cores, load {env.load}",
        "caller": f"voicedeploy {env.voicedeploy}, aiortc {env.aiortc}, aioice {env.aioice}, Python {env.python}",
        **{one.name: f"{one.report.url}, {_distance(one)}" for one in made.outcomes},
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())


def _distance(one: Outcome) -> str:
    if one.report.same_machine:
        return "on this machine"
    if one.way is not None and one.way.assumed:
        return "reached over a network; one of its two round trips stands for the other, which was not measured"
    return "reached over a network"


# ---------------------------------------------------------------- pictures


def _made_of(outcomes: Sequence[Outcome]) -> Figure | None:
    shown = [
        (f"{escape(one.name)}<br>{label}", made)
        for key, label in FIGURES.items()
        for one in outcomes
        if (made := one.made_of[key]) is not None
    ]
    if not shown:
        return None
    return {
        "data": [
            _bar(piece, [name for name, _ in shown], [getattr(made, piece) for _, made in shown], colour)
            for piece, colour in PIECES.items()
        ],
        "layout": _stacked(len(shown), "ms"),
    }


def _phases(outcomes: Sequence[Outcome]) -> Figure | None:
    shown = [one for one in outcomes if one.report.summary.ok]
    if not shown:
        return None
    names = [escape(one.name) for one in shown]
    figure: Figure = {
        "data": [
            _bar(phase.replace("_", " "), names, [one.report.summary.phases_ms[phase].p50 for one in shown], colour)
            for phase, colour in PHASES.items()
        ],
        "layout": _stacked(len(shown), "ms since POST /start"),
    }
    longest = max(one.report.summary.first_word_ms.p50 or 0.0 for one in shown)
    goals = [one.goals[0] for one in shown]
    if longest > min(goal.good for goal in goals) / 3:
        figure["layout"]["shapes"] = [limit(at, "x") for at in sorted({ms for g in goals for ms in (g.good, g.most)})]
    return figure


def _bar(name: str, labels: Sequence[str], values: Sequence[float | None], colour: str) -> Figure:
    return {
        "type": "bar", "orientation": "h", "name": name, "y": labels, "x": [rounded(ms) for ms in values],
        "marker": {"color": colour}, "hovertemplate": "%{y}: " + name + " %{x:.0f} ms<extra></extra>",
    }  # fmt: skip


def _stacked(count: int, title: str) -> Figure:
    return {
        "barmode": "relative",
        "height": 150 + 40 * count,
        "xaxis": {"title": {"text": title}},
        "yaxis": {"autorange": "reversed", "type": "category"},
    }


def _apart(made: Comparison) -> Figure | None:
    rows: list[tuple[str, Difference, str]] = []
    for contrast in made.contrasts:
        for key, label in FIGURES.items():
            apart = getattr(contrast, key)
            parts = [("", apart.total), *apart.made_of.items()]
            rows += [
                (f"{escape(contrast.name)}: {label}{' · ' * bool(part)}{part}", one, PIECES.get(part, CALLER))
                for part, one in parts
                if one is not None
            ]
    if not rows:
        return None
    return {
        "data": [
            {
                "type": "scatter", "mode": "markers", "x": [rounded(one.median)], "y": [name], "showlegend": False,
                "marker": {"color": colour, "size": 10},
                "error_x": {
                    "type": "data", "symmetric": False, "thickness": 2,
                    "array": [rounded((one.high if one.high is not None else one.median) - one.median)],
                    "arrayminus": [rounded(one.median - (one.low if one.low is not None else one.median))],
                },
                "hovertemplate": "%{y}: %{x:.0f} ms<extra></extra>",
            }
            for name, one, colour in rows
        ],
        "layout": {
            "height": 150 + 30 * len(rows),
            "xaxis": {"title": {"text": "ms later"}, "zeroline": True, "zerolinewidth": 2},
            "yaxis": {"autorange": "reversed", "type": "category"},
        },
    }  # fmt: skip


def _first_words(one: Outcome) -> list[float]:
    return [run.first_word_ms for run in one.report.runs if run.ok and run.first_word_ms is not None]


def _answers(one: Outcome) -> list[float]:
    runs = [run for run in one.report.runs if run.ok]
    return [t.voice_to_voice_ms for run in runs for t in run.turns if t.voice_to_voice_ms is not None]


def _boxes(outcomes: Sequence[Outcome], goal: int, values: Callable[[Outcome], list[float]]) -> Figure | None:
    shown = [(one, ms, COLOURS[at % len(COLOURS)]) for at, one in enumerate(outcomes) if (ms := values(one))]
    if not shown:
        return None
    highest = max(max(ms) for _, ms, _ in shown)
    limits = {at for one, _, _ in shown for at in (one.goals[goal].good, one.goals[goal].most) if at < 3 * highest}
    return {
        "data": [
            {
                "type": "box", "name": escape(one.name), "y": [rounded(value) for value in ms],
                "boxpoints": "all", "jitter": 0.4, "pointpos": 0,
                "marker": {"color": colour, "size": 7, "opacity": 0.75}, "line": {"width": 1, "color": colour},
                "hovertemplate": "%{y:.0f} ms<extra></extra>",
            }
            for one, ms, colour in shown
        ],
        "layout": {
            "height": 340,
            "showlegend": False,
            "yaxis": {"title": {"text": "ms"}, "rangemode": "tozero"},
            "shapes": [limit(at, "y") for at in sorted(limits)],
        },
    }  # fmt: skip


def _rounds(outcomes: Sequence[Outcome]) -> Figure | None:
    if not any(_first_words(one) for one in outcomes):
        return None
    return {
        "data": [
            {
                "type": "scatter", "mode": "lines+markers", "name": escape(one.name),
                "x": list(range(1, len(one.report.runs) + 1)),
                "y": [rounded(run.first_word_ms) if run.ok else None for run in one.report.runs],
                "line": {"color": COLOURS[at % len(COLOURS)]},
                "hovertemplate": "round %{x}: %{y:.0f} ms<extra></extra>",
            }
            for at, one in enumerate(outcomes)
        ],
        "layout": {
            "height": 300,
            "xaxis": {"title": {"text": "round"}},
            "yaxis": {"title": {"text": "first word, ms"}, "rangemode": "tozero"},
        },
    }  # fmt: skip


def _audio(outcomes: Sequence[Outcome]) -> Figure | None:
    shown = [one for one in outcomes if one.report.summary.packets]
    if not shown:
        return None
    summaries = [one.report.summary for one in shown]
    return health(
        [escape(one.name) for one in shown],
        [s.max_gap_ms.p50 for s in summaries],
        [s.late_p95_ms.p50 for s in summaries],
        [s.jitter_ms.p50 for s in summaries],
    )
