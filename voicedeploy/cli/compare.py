"""`voicedeploy compare`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicedeploy.cli import options, show
from voicedeploy.cli.calling import through, watched

if TYPE_CHECKING:
    from voicedeploy.comparing import Apart, Comparison, Outcome, Progress, Side
    from voicedeploy.provider import Provider
    from voicedeploy.spec import Spec

NAMED = re.compile(r"([A-Za-z][\w.-]*)=(.+)", re.DOTALL)
"""An address has a colon before its first `=`."""


def _complete(begun: str) -> list[str]:
    from voicedeploy import registry

    return [name for name in registry.names() if name.startswith(begun)]


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            help="Two or more of: a provider (local), with its host (vm@homelab), an address; named by NAME=.",
            metavar="[NAME=]SIDE...",
            autocompletion=_complete,
        ),
    ],
    file: options.File = options.SPEC,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="Rounds: one call of each side in each.")] = 20,
    wav: Annotated[
        list[Path] | None, typer.Option("--wav", help="Say this instead; once for each turn.", metavar="FILE")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page with pictures.", metavar="FILE.html")
    ] = None,
    json: options.Json = False,
) -> None:
    """Make the same calls to several deployments by turns: who is faster, by what, and good enough or not."""
    import asyncio

    from voicedeploy import comparing
    from voicedeploy.call import Script
    from voicedeploy.errors import UsageError

    script = Script.from_files(wav) if wav else Script.demo(2)
    if report is not None and not report.resolve().parent.is_dir():
        raise UsageError(f"{report.parent}: there is no such folder")
    who = _sides(sides, file)
    with watched(runs * len(who), quiet=json) as tell:

        def told(progress: "Progress") -> None:
            failed = progress.run is not None and not progress.run.ok
            tell(progress.done, f"{progress.side}: {progress.text}", failed)

        made = asyncio.run(comparing.compare(who, script, rounds=runs, progress=told))
    if report is not None:
        from voicedeploy.comparing.html import page  # Plotly is read only by those who want the picture

        report.write_text(page(made), "utf-8")
    if json:
        show.data(comparing.answer(made))
    else:
        _print(made, report)
    _end(made, json=json)


def _sides(typed: Sequence[str], file: Path) -> "list[Side]":
    """Every side with its name. Raises UsageError for fewer than two, or for two of one name."""
    from voicedeploy.errors import UsageError

    found = [side for text in typed for side in _named(text, file)]
    if len(found) < 2:
        raise UsageError("a comparison needs two sides", hint="voicedeploy compare local vm@homelab")
    twice = next((one.name for one in found if [side.name for side in found].count(one.name) > 1), None)
    if twice is not None:
        raise UsageError(f"two sides are called {twice!r}", hint=f"name them: one={twice} other={twice}")
    return found


def _named(text: str, file: Path) -> "list[Side]":
    from voicedeploy.call import Callee
    from voicedeploy.comparing import Side

    named = NAMED.fullmatch(text)
    name, place = (named[1], named[2]) if named else ("", text)
    if "://" in place:
        callee = Callee.parse(place)
        return [Side(name or re.sub(r"^https?://", "", callee.url), callee)]
    spec = options.project(file)
    return [Side(called, through(provider, spec.bot.name)) for called, provider in _places(name, place, spec)]


def _places(name: str, place: str, spec: "Spec") -> "list[tuple[str, Provider]]":
    """`PROVIDER` or `PROVIDER@HOST`; several hosts of the spec are several sides."""
    where, _, host = place.partition("@")
    parts = options.providers(spec, where, host or None)
    if len(parts) == 1:
        return [(name or place, parts[0])]
    return [(f"{name or where}@{part.where.split()[-1]}", part) for part in parts]


def _end(made: "Comparison", *, json: bool) -> None:
    """Raises NotHeard for the first side that was not heard in every call, with the layer."""
    from voicedeploy.errors import NotHeard

    for one in made.outcomes:
        error = next((run.error for run in one.report.runs if run.error), None)
        if error is None:
            continue
        if json:
            raise typer.Exit(NotHeard.exit_code)
        raise NotHeard(f"{one.name}: {error.layer}: {error.message}", hint=error.hint)


# ---------------------------------------------------------------- what is shown


def _print(made: "Comparison", report: Path | None) -> None:
    from voicedeploy.comparing import verdict

    show.table(_rows(made), ["", *(one.name for one in made.outcomes), *(["apart"] if len(made.outcomes) == 2 else [])])
    show.line()
    for sentence in verdict(made):
        mark = {True: "✓", False: "✗", None: "·"}[sentence.holds]
        show.line(f"{mark} {sentence.text}")
    if report is not None:
        show.line(f"report: {report}")


def _rows(made: "Comparison") -> list[list[str]]:
    summaries = [one.report.summary for one in made.outcomes]
    ways = [one.way for one in made.outcomes]
    apart = (
        (made.contrasts[0].first_word, made.contrasts[0].voice_to_voice) if len(made.contrasts) == 1 else (None, None)
    )
    return [
        ["heard", *(f"{s.ok} of {s.ok + s.failed}" for s in summaries)],
        ["transport", *(one.report.transport for one in made.outcomes)],
        ["round trip", *(_ms(way.media) if way else "–" for way in ways)],
        ["first word p50", *(_s(s.first_word_ms.p50) for s in summaries), _of_it(apart[0])],
        ["           p95", *(_s(s.first_word_ms.p95) for s in summaries)],
        *([f"  {name.replace('_', ' ')}", *(_ms(s.phases_ms[name].p50) for s in summaries)] for name in _phases(made)),
        ["voice to voice p50", *(_s(s.voice_to_voice_ms.p50) for s in summaries), _of_it(apart[1])],
        ["               p95", *(_s(s.voice_to_voice_ms.p95) for s in summaries)],
        ["lost / jitter / gap", *(_sound(one) for one in made.outcomes)],
    ]  # fmt: skip


def _phases(made: "Comparison") -> list[str]:
    """Those that anybody has."""
    names = made.outcomes[0].report.summary.phases_ms
    return [name for name in names if any(one.report.summary.phases_ms[name].p50 for one in made.outcomes)]


def _of_it(apart: "Apart | None") -> str:
    """Only for a difference that was found."""
    from voicedeploy.comparing.words import made_of, signed

    if apart is None or apart.total is None or not apart.total.found:
        return ""
    return f"{signed(apart.total.median)}: {made_of(apart)}"


def _sound(one: "Outcome") -> str:
    summary = one.report.summary
    if not summary.packets:
        return "–"
    lost = summary.lost / (summary.packets + summary.lost)
    return f"{lost:.1%} / {_ms(summary.jitter_ms.p50)} / {_ms(summary.max_gap_ms.p50)}"


def _s(ms: float | None) -> str:
    return "–" if ms is None else f"{ms / 1000:.2f} s"


def _ms(ms: float | None) -> str:
    return "–" if ms is None else f"{ms:.0f} ms"
