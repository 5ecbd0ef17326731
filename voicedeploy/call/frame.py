"""A page that is one file: style, words, and pictures by Plotly, whose code is inside."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from voicedeploy.call.run import rounded
from voicedeploy.errors import NotReady

try:
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise NotReady("a page with pictures needs plotly", hint="pip install 'voicedeploy[call]'") from error

BOT, CALLER, LATE, BAD = "#5b7fd9", "#e0705c", "#d9a43b", "#d05050"
PHASES = {
    "start": "#5b7fd9",
    "offer": "#3fa7c4",
    "ice": "#43b08a",
    "dtls": "#d9a43b",
    "first_word": "#e0705c",
}
MARKS = {True: ("good", "✓"), False: ("bad", "✗"), None: ("none", "–")}
Figure = dict[str, Any]


def framed(title: str, body: str, figures: Mapping[str, Figure | None], data: dict[str, Any]) -> str:
    """The page around `body`, which is HTML. A `section data-figure="name"` shows that figure, and is hidden without
    it; `data` is what the page was made of, for programs."""
    slots = {
        "title": escape(title),
        "body": body,
        "figures": _embedded({name: figure for name, figure in figures.items() if figure}),
        "json": _embedded(data),
        "plotly": get_plotlyjs(),
    }
    return filled("voicedeploy.call", "frame.html", slots)


def filled(package: str, file: str, slots: Mapping[str, str]) -> str:
    """The package's file with each `{{name}}` replaced, and nothing in the values read again."""
    first, *parts = files(package).joinpath(file).read_text(encoding="utf-8").split("{{")
    pieces = [first]
    for part in parts:
        name, rest = part.split("}}", 1)
        pieces += [slots[name], rest]
    return "".join(pieces)


def said(verdicts: list[tuple[bool | None, str]]) -> str:
    """A list of sentences, each with its mark."""
    rows = []
    for holds, text in verdicts:
        kind, mark = MARKS[holds]
        rows.append(f'<li class="{kind}"><b>{mark}</b><span>{escape(text)}</span></li>')
    return "".join(rows)


def tiles(rows: list[tuple[str, str, str]]) -> str:
    """(name, figure, what goes with it)."""
    return "".join(
        f'<div class="tile"><span>{escape(name)}</span><strong>{escape(value)}</strong>'
        f"<small>{escape(more)}</small></div>"
        for name, value, more in rows
    )


def seconds(ms: float | None) -> str:
    return "–" if ms is None else f"{ms / 1000:.2f} s"


def milliseconds(ms: float | None) -> str:
    return "–" if ms is None else f"{ms:.0f} ms"


def limit(at: float, axis: str) -> Figure:
    """A dashed line across the whole picture."""
    other = "y" if axis == "x" else "x"
    return {
        "type": "line", f"{axis}ref": axis, f"{axis}0": at, f"{axis}1": at,
        f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1,
        "line": {"color": BAD, "width": 1, "dash": "dash"},
    }  # fmt: skip


def _embedded(body: dict[str, Any]) -> str:
    """JSON in a script element: no `<` in it may open or close anything."""
    return json.dumps(body).replace("<", "\\u003c")


def health(names: Sequence[str], gaps: Sequence[float | None], late: Sequence[float | None],
           jitter: Sequence[float | None]) -> Figure:  # fmt: skip
    """Bars in milliseconds for each of `names`, beside the gap that a listener hears."""
    series = (("largest gap", CALLER, gaps), ("late, p95", LATE, late), ("jitter", BOT, jitter))
    return {
        "data": [
            {
                "type": "bar",
                "name": name,
                "x": [*names],
                "y": [rounded(value) for value in values],
                "marker": {"color": colour},
                "hovertemplate": "%{x}: " + name + " %{y:.1f} ms<extra></extra>",
            }
            for name, colour, values in series
        ],
        "layout": {
            "barmode": "group",
            "height": 300,
            "xaxis": {"type": "category"},
            "yaxis": {"title": {"text": "ms"}, "rangemode": "tozero"},
            "shapes": [limit(60, "y")],
        },
    }
