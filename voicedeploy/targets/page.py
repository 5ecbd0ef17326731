"""docs/reference/targets.md, made from the data: `python -m voicedeploy.targets > docs/reference/targets.md`."""

from voicedeploy.targets.explain import COLUMNS, explain, table
from voicedeploy.targets.refusal import any_of
from voicedeploy.targets.row import MARKS, load

_TOP = """\
# Targets

<!-- Made from voicedeploy/data/targets.toml by `python -m voicedeploy.targets`; do not edit. -->

What each place lets a voice bot do. Facts about vendors rot: every row has its date and its evidence, and a
real call (`voicedeploy call`) outranks the table. `voicedeploy targets NAME` prints one row in full.

- **webrtc**, **rooms** (Daily, LiveKit), **phone, ws**: how that transport gets through, in the words of
  [packets](../concepts/packets.md). A `?` means that only a call can tell, `with TURN` that a relay is needed.
- **provider**: the `--provider` that takes a bot there. `voicedeploy targets` shows which of them your version has.
- **one call**: when the platform ends it. **a deploy**: how long calls may go on after the platform was told to stop.
- Evidence is *measured* (by running it), read in *source*, *documented* by the vendor, *reported* in a public
  thread, *inferred*, or *unverified* (general knowledge that nobody has checked).
"""


def page() -> str:
    """The same on every machine: `provider` does not depend on what is installed."""
    rows = load()
    known = {name for row in rows for name in row.providers}
    out = [_TOP, f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for name, *cells in table(rows, known):
        out.append(f"| [{name}](#{name}) | {' | '.join(_cell(cell) for cell in cells)} |")
    for row in rows:
        told = explain(row)
        out += ["", f"## {row.name}", "", _cell(told.headline), *([_cell(row.note)] if row.note else []), ""]
        if row.aliases:
            out += [f"Also called {any_of([f'`{alias}`' for alias in row.aliases])}.", ""]
        for label, word, text in (*told.packets, *told.transports, *told.limits):
            out.append(f"- {label}: {', '.join(filter(None, (word and f'**{word}**', _cell(text))))}")
        out += [f"- instead: {_cell(way)}" for way in told.instead]
        out += ["", "| evidence | date | where | what it says |", "|---|---|---|---|"]
        out += [f"| {MARKS[e.mark]} | {e.date} | {_cell(e.where)} | {_cell(e.says)} |" for e in row.evidence]
    return "\n".join(out) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
