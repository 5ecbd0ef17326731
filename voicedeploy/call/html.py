"""The report of calls as one page: the numbers as tables, and pictures."""

from collections.abc import Sequence
from html import escape

from voicedeploy.call import goals
from voicedeploy.call.audio import AUDIBLE_DBFS
from voicedeploy.call.frame import (
    BOT,
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
)
from voicedeploy.call.frame import tiles as tiled
from voicedeploy.call.report import Report
from voicedeploy.call.run import Run, rounded


def page(report: Report) -> str:
    """Everything that came from outside is escaped: a bot may say what it likes."""
    figures = {
        "phases": _phases(report),
        "turns": _turns(report),
        "picture": _picture(report.runs),
        "audio": _audio(report.runs),
    }
    slots = {
        "url": escape(report.url),
        "when": escape(report.runs[0].started_at[:19].replace("T", " ") + " UTC" if report.runs else ""),
        "counted": escape(_counted(report)),
        "tiles": _tiles(report),
        "verdict": said([(verdict.holds, verdict.text) for verdict in report.verdict]),
        "failures": _failures(report.runs),
        "runs": _runs(report.runs),
        "conversation": _conversation(report.runs),
        "environment": _environment(report),
    }
    body = filled("voicedeploy.call", "report.html", slots)
    return framed(f"Calls to {report.url} over {report.transport}", body, figures, report.to_json())


def _counted(report: Report) -> str:
    count = len(report.runs)
    calls = "1 call" if count == 1 else f"{count} calls"
    return f"{calls} over {report.transport}" + (f", {report.sessions} at once" if report.sessions > 1 else "")


# ---------------------------------------------------------------- words and tables


def _tiles(report: Report) -> str:
    summary = report.summary
    share = summary.lost / (summary.packets + summary.lost) if summary.packets else None
    barged = summary.barge_in_ms
    tiles = [
        ("Heard", f"{summary.ok}/{summary.ok + summary.failed}", "calls"),
        ("First word", seconds(summary.first_word_ms.p50), f"p95 {seconds(summary.first_word_ms.p95)}"),
        ("Voice to voice", seconds(summary.voice_to_voice_ms.p50), f"p95 {seconds(summary.voice_to_voice_ms.p95)}"),
        ("Lost", "–" if share is None else f"{share:.1%}", f"jitter {milliseconds(summary.jitter_ms.p50)}"),
        ("Largest gap", milliseconds(summary.max_gap_ms.p50), f"p95 {milliseconds(summary.max_gap_ms.p95)}"),
        *([("Barge-in", seconds(barged.p50), f"p95 {seconds(barged.p95)}")] if barged.p50 is not None else []),
    ]
    return tiled(tiles)


def _failures(runs: Sequence[Run]) -> str:
    seen: dict[tuple[str, str, str], int] = {}
    for run in runs:
        if run.error:
            key = (run.error.layer, run.error.message, run.error.hint)
            seen[key] = seen.get(key, 0) + 1
    items = "".join(
        f"<li><b>{escape(layer)}</b> ×{count}<br>{escape(message)}<br><em>{escape(hint)}</em></li>"
        for (layer, message, hint), count in seen.items()
    )
    return f'<section><h2>What failed</h2><ul class="failures">{items}</ul></section>' if items else ""


def _runs(runs: Sequence[Run]) -> str:
    rows = []
    for number, run in enumerate(runs, 1):
        v2v = sorted(t.voice_to_voice_ms for t in run.turns if t.voice_to_voice_ms is not None)
        pair = f"{run.candidate_pair.local} → {run.candidate_pair.remote}" if run.candidate_pair else "–"
        cells = (
            str(number),
            "ok" if run.ok else (run.error.layer if run.error else "failed"),
            seconds(run.first_word_ms),
            seconds(v2v[len(v2v) // 2] if v2v else None),
            f"{run.answered}/{len(run.turns)}",
            seconds(run.barge_in_ms),
            f"{run.audio.lost}/{run.audio.packets + run.audio.lost}",
            milliseconds(run.audio.jitter_ms),
            milliseconds(run.audio.max_gap_ms),
            milliseconds(run.audio.late_p95_ms),
            pair,
            run.session_id or "–",
        )
        kind = "good" if run.ok else "bad"
        rows.append(f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return "".join(rows)


def _conversation(runs: Sequence[Run]) -> str:
    run = next((run for run in runs if run.ok and run.turns), None)
    if run is None:
        return ""
    lines: list[tuple[str, str, float | None]] = [("bot", run.greeting, None)] if run.greeting else []
    for turn in run.turns:
        heard = f" (the bot heard: {turn.heard})" if turn.heard and turn.heard != turn.asked else ""
        lines.append(("caller", (turn.asked or "speech from a file") + heard, None))
        lines.append(("bot", turn.said or ("…" if turn.voice_to_voice_ms else "no answer"), turn.voice_to_voice_ms))
    items = "".join(
        f'<li class="{who}"><span>{escape(text)}</span>'
        + (f"<small>{seconds(after)}</small>" if after is not None else "")
        + "</li>"
        for who, text, after in lines
    )
    return f'<section><h2>What was said</h2><ol class="talk">{items}</ol></section>'


def _environment(report: Report) -> str:
    env = report.environment
    facts = {
        "called from": f"{env.system}, {env.cores} cores, load {env.load}",
        "caller": f"voicedeploy {env.voicedeploy}, aiortc {env.aiortc}, aioice {env.aioice}, Python {env.python}",
        "processes": str(env.processes),
        "bot": "on the same machine" if report.same_machine else "reached over a network",
        "transport": report.transport,
    }
    return "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())


# ---------------------------------------------------------------- pictures


def _phases(report: Report) -> Figure | None:
    goal = goals.first_word(report.transport)
    shown = [(f"call {number}", run) for number, run in enumerate(report.runs, 1) if run.phases.start is not None][:60]
    if not shown:
        return None
    names = [name for name, _ in shown]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": phase.replace("_", " "),
            "y": names,
            "x": [rounded(getattr(run.phases, phase)) for _, run in shown],
            "marker": {"color": color},
            "hovertemplate": "%{y}: " + phase.replace("_", " ") + " %{x:.0f} ms<extra></extra>",
        }
        for phase, color in PHASES.items()
    ]
    totals = [run.first_word_ms or 0.0 for _, run in shown]
    near = max(totals, default=0.0) > goal.good / 3
    return {
        "data": bars,
        "layout": {
            "barmode": "stack",
            "height": 150 + 26 * len(shown),
            "xaxis": {"title": {"text": "ms since POST /start"}, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed", "type": "category"},
            "shapes": [limit(x, "x") for x in (goal.good, goal.most)] if near else [],
        },
    }


def _turns(report: Report) -> Figure | None:
    points = [
        (f"turn {number}", rounded(turn.voice_to_voice_ms), f"call {call}: {turn.asked or 'speech'}")
        for call, run in enumerate(report.runs, 1)
        for number, turn in enumerate(run.turns, 1)
        if turn.voice_to_voice_ms is not None
    ]
    if not points:
        return None
    goal = goals.voice_to_voice(same_machine=report.same_machine)
    turns = sorted({name for name, _, _ in points}, key=lambda name: int(name.split()[1]))
    boxes = [
        {
            "type": "box",
            "name": turn,
            "x": [turn for name, _, _ in points if name == turn],
            "y": [ms for name, ms, _ in points if name == turn],
            "text": [escape(text) for name, _, text in points if name == turn],
            "boxpoints": "all",
            "jitter": 0.4,
            "pointpos": 0,
            "marker": {"color": BOT, "size": 7, "opacity": 0.75},
            "line": {"width": 1, "color": BOT},
            "fillcolor": "rgba(91,127,217,0.12)",
            "hovertemplate": "%{text}<br>%{y:.0f} ms<extra></extra>",
        }
        for turn in turns
    ]
    return {
        "data": boxes,
        "layout": {
            "height": 340,
            "showlegend": False,
            "yaxis": {"title": {"text": "voice to voice, ms"}, "rangemode": "tozero"},
            "shapes": [limit(y, "y") for y in sorted({goal.good, goal.most})],
        },
    }


def _picture(runs: Sequence[Run]) -> Figure | None:
    """Who was audible when, in the first call that was heard."""
    run = next((run for run in runs if run.ok and run.levels), None)
    if run is None:
        return None
    spoken = [
        {
            "type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
            "x0": turn.spoke_from_ms / 1000, "x1": turn.spoke_until_ms / 1000,
            "fillcolor": CALLER, "opacity": 0.22, "line": {"width": 0},
        }
        for turn in run.turns
    ]  # fmt: skip
    labels = [
        {
            "x": (turn.spoke_from_ms + turn.spoke_until_ms) / 2000, "y": 1.02, "yref": "paper", "yanchor": "bottom",
            "text": escape(turn.asked or "caller"), "showarrow": False, "font": {"size": 11, "color": CALLER},
        }
        for turn in run.turns
    ]  # fmt: skip
    bot = {
        "type": "scatter",
        "mode": "lines",
        "x": [round(at / 1000, 2) for at, _ in run.levels],
        "y": [max(level, -70) for _, level in run.levels],
        "line": {"color": BOT, "width": 1, "shape": "hv"},
        "fillcolor": "rgba(91,127,217,0.35)",
        "hovertemplate": "%{x:.2f} s: %{y:.0f} dBFS<extra></extra>",
    }
    floor = {**bot, "y": [-70] * len(run.levels), "line": {"width": 0}, "hoverinfo": "skip"}
    return {
        "data": [floor, {**bot, "fill": "tonexty"}],
        "layout": {
            "height": 260,
            "showlegend": False,
            "xaxis": {"title": {"text": "s since POST /start"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "bot, dBFS"}, "range": [-70, 0]},
            "shapes": [*spoken, limit(AUDIBLE_DBFS, "y")],
            "annotations": labels,
        },
    }


def _audio(runs: Sequence[Run]) -> Figure | None:
    shown = [(f"call {number}", run.audio) for number, run in enumerate(runs, 1) if run.audio.packets][:60]
    if not shown:
        return None
    heard = [audio for _, audio in shown]
    return health(
        [call for call, _ in shown],
        [audio.max_gap_ms for audio in heard],
        [audio.late_p95_ms for audio in heard],
        [audio.jitter_ms for audio in heard],
    )
