"""All text that leaves the program. Data goes to stdout, progress and errors to stderr."""

import json as _json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import typer

from voicedeploy.errors import StepFailed, VoiceDeployError


def line(text: str = "") -> None:
    """A line of the answer."""
    print(text, file=sys.stdout, flush=True)  # noqa: T201


def note(text: str = "") -> None:
    """A line about what goes on."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def data(value: Any) -> None:
    """The one object that `--json` promises."""
    line(_json.dumps(value, indent=2, ensure_ascii=False))


def error(failure: VoiceDeployError, *, json: bool) -> None:
    if json:
        data({"error": {"code": failure.code, "message": failure.message, "hint": failure.hint}})
        return
    if isinstance(failure, StepFailed) and failure.log:
        for entry in failure.log:
            note(f"  {log_line(entry)}")
        note()
    note(f"{paint('error:', 'red', sys.stderr)} {_indented(failure.message, 7)}")
    if failure.hint:
        note()
        note(f"{paint('hint:', 'cyan', sys.stderr)} {_indented(failure.hint, 6)}")


def log_line(text: str) -> str:
    """`time  session  event  message` of a JSON line; anything else as it is."""
    try:
        said = _json.loads(text)
    except ValueError:
        return text
    if not isinstance(said, dict):
        return text
    clock = str(said.pop("ts", ""))[11:23]
    session = str(said.pop("session", None) or "-")[:8]
    event = str(said.pop("event", ""))
    level = str(said.pop("level", ""))
    for name in ("release", "process"):
        said.pop(name, None)
    message = str(said.pop("text", "") or said.pop("message", ""))
    rest = " ".join(f"{key}={value}" for key, value in said.items() if value not in (None, "", [], {}))
    body = "  ".join(part for part in (event if event != "output" else "", message, rest) if part)
    style = {"error": "red", "warning": "yellow"}.get(level)
    plain = f"{clock} {session:<8} {body}"
    return paint(plain, style, sys.stdout) if style else plain


def interrupted(*, json: bool) -> None:
    if json:
        data({"error": {"code": "interrupted", "message": "interrupted", "hint": ""}})
    else:
        note("interrupted")


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> None:
    """Columns as wide as they must be; the last one is not padded."""
    body = [list(row) for row in rows]
    everything = [list(head), *body] if head else body
    if not everything:
        return
    widths = [max(len(row[i]) if i < len(row) else 0 for row in everything) for i in range(len(everything[0]))]
    for n, row in enumerate(everything):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        line(paint(text, "bold", sys.stdout) if head and n == 0 else text)


_STYLES: dict[str, dict[str, Any]] = {
    "red": {"fg": "red", "bold": True},
    "green": {"fg": "green"},
    "yellow": {"fg": "yellow"},
    "cyan": {"fg": "cyan"},
    "bold": {"bold": True},
    "dim": {"dim": True},
}


def paint(text: str, style: str, stream: TextIO) -> str:
    """`text` in a colour where a person watches; the words alone must say everything."""
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    return typer.style(text, **_STYLES[style])


def _indented(text: str, width: int) -> str:
    return text.replace("\n", "\n" + " " * width)
