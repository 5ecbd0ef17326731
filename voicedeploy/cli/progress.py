"""A plan on the terminal: printed before, ticked off while it is carried out."""

import sys
from collections.abc import Iterable

from voicedeploy.cli import show
from voicedeploy.plan import Plan, Step

_COLOURS = {"+": "green", "~": "yellow", "-": "red", "✓": "green"}
_SUBJECT = 13


def heading(*parts: str) -> None:
    show.note(" · ".join(parts))


def preview(plan: Plan) -> None:
    for step in plan.steps:
        show.note(_text(step))


def lines(plan: Plan) -> Iterable[str]:
    return (_text(step) for step in plan.steps)


def _text(step: Step, mark: str = "") -> str:
    mark = mark or step.change
    return (
        f"{show.paint(mark, _COLOURS.get(mark, 'red'), sys.stderr)} {step.subject:<{_SUBJECT}} {step.detail}".rstrip()
    )


class Ticker:
    """Tells a person what happens; on a terminal the line of the running step is there from its beginning."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet

    def begins(self, step: Step) -> None:
        if self._live:
            sys.stderr.write(f"… {step.subject:<{_SUBJECT}} {step.detail}")
            sys.stderr.flush()

    def ends(self, step: Step, seconds: float, note: str) -> None:
        text = f"{step.subject:<{_SUBJECT}} {note or step.detail}"
        took = f"{seconds:6.1f} s" if seconds >= 0.05 else ""
        self._line(step.change, f"{text:<62}{took}".rstrip())

    def fails(self, step: Step, error: BaseException) -> None:
        self._line("✗", f"{step.subject:<{_SUBJECT}} {step.detail}".rstrip())

    def undoes(self, step: Step, error: BaseException | None) -> None:
        said = f"could not be taken back: {error}" if error else "taken back"
        self._line("↩", f"{step.subject:<{_SUBJECT}} {said}")

    def _line(self, mark: str, text: str) -> None:
        if self._quiet:
            return
        if self._live:
            sys.stderr.write("\r\x1b[K")
        show.note(f"{show.paint(mark, _COLOURS.get(mark, 'red'), sys.stderr)} {text}")
