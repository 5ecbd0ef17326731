"""`voicedeploy call`."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicedeploy.cli import options, show
from voicedeploy.cli.calling import through, watched

if TYPE_CHECKING:
    from voicedeploy.call import Callee, Progress, Report, Run


ON_HOLD_S = 120.0
"""So long a caller listens to the announcement."""


def call(
    url: Annotated[str | None, typer.Argument(help="Whom to call; otherwise the project's deployment.")] = None,
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="Calls one after another.")] = 1,
    sessions: Annotated[int, typer.Option("--sessions", min=1, max=200, help="Calls at once.")] = 1,
    wav: Annotated[
        list[Path] | None, typer.Option("--wav", help="Say this instead; once for each turn.", metavar="FILE")
    ] = None,
    turns: Annotated[int, typer.Option("--turns", min=0, max=4, help="How many of the shipped sentences to say.")] = 2,
    transport: Annotated[
        str | None, typer.Option("--transport", help="Call this way; otherwise as the front says.", metavar="T")
    ] = None,
    webhook: Annotated[
        bool, typer.Option("--webhook", help="Begin as a phone carrier does, by the bot's webhook; waits on hold.")
    ] = False,
    relay_only: Annotated[bool, typer.Option("--relay-only", help="Only through the TURN server.")] = False,
    barge_in: Annotated[
        bool, typer.Option("--barge-in", help="Speak while the bot talks, and measure how long it goes on.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page with pictures.", metavar="FILE.html")
    ] = None,
    json: options.Json = False,
) -> None:
    """Make real calls and measure: first word, voice to voice, audio health. Fails if the bot is not heard."""
    import asyncio

    from voicedeploy.call import CallOptions, Script, call_many, settled
    from voicedeploy.errors import NotHeard, UsageError

    script = Script.from_files(wav) if wav else Script.demo(turns)
    if report is not None and not report.resolve().parent.is_dir():
        raise UsageError(f"{report.parent}: there is no such folder")
    callee = _callee(url, file, where, host)
    how = CallOptions(
        transport=options.kind(transport) if transport else "",
        webhook=webhook,
        relay_only=relay_only,
        barge_in=barge_in,
        busy_wait_s=ON_HOLD_S if webhook else 0.0,
    )
    if webhook:
        how = asyncio.run(settled(callee, how))
        callee = replace(callee, signing=_signing(how.transport))
    with watched(runs * sessions, quiet=json) as tell:

        def told(progress: "Progress") -> None:
            tell(progress.done, progress.text, progress.run is not None and not progress.run.ok)

        made = asyncio.run(call_many(callee, script, how, runs=runs, sessions=sessions, progress=told))
    if report is not None:
        from voicedeploy.call.html import page  # Plotly is read only by those who want the picture

        report.write_text(page(made), "utf-8")
    if json:
        show.data(made.to_json())
    else:
        _print(made, report)
    failed = next((run.error for run in made.runs if run.error), None)
    if not made.ok:
        if json:
            raise typer.Exit(NotHeard.exit_code)
        raise NotHeard(
            failed.message if failed else "the bot is not heard",
            hint=failed.hint if failed else "`voicedeploy logs` shows what the bot did",
        )


def _signing(transport: str) -> str:
    """The carrier's secret, if the environment has it; a provider's key opens the webhook without."""
    from voicedeploy.serve.phone import CARRIERS

    return os.environ.get(CARRIERS[transport].SIGNING_SECRET, "") if transport in CARRIERS else ""


def _callee(url: str | None, file: Path, where: str | None, host: str | None) -> "Callee":
    from voicedeploy.call import Callee

    if url is not None:
        return Callee.parse(url)
    spec = options.project(file)
    return through(options.provider(spec, where, host), spec.bot.name)


def _print(made: "Report", report: Path | None) -> None:
    show.line(f"transport       {made.transport}")
    if len(made.runs) == 1:
        _one(made.runs[0])
    else:
        _many(made)
    for verdict in made.verdict:
        mark = {True: "✓", False: "✗", None: "·"}[verdict.holds]
        show.line(f"{mark} {verdict.text}")
    if report is not None:
        show.line(f"report: {report}")


def _one(run: "Run") -> None:
    phases = run.phases.to_json()
    if run.joined_ms is not None:
        show.line(f"joined          the bot was in its room after {run.joined_ms / 1000:.2f} s")
        show.line()
        return
    if run.first_word_ms is not None:
        parts = " + ".join(f"{name.replace('_', ' ')} {ms:.0f}" for name, ms in phases.items() if ms)
        show.line(f"first word      {run.first_word_ms / 1000:.2f} s   ({parts} ms)")
    if run.greeting:
        show.line(f"bot             “{run.greeting}”")
    for turn in run.turns:
        took = f"{turn.voice_to_voice_ms / 1000:.2f} s" if turn.voice_to_voice_ms is not None else "no answer"
        show.line(f"voice to voice  {took}   “{turn.heard or turn.asked}” → “{turn.said or '…'}”")
    if run.barge_in_ms is not None:
        show.line(f"barge-in        talked on for {run.barge_in_ms / 1000:.2f} s after the caller had begun")
    audio = run.audio
    gap = f"jitter {audio.jitter_ms:.1f} ms, largest gap {audio.max_gap_ms or 0:.0f} ms"
    show.line(f"audio           {audio.packets} packets, {audio.lost} lost, {gap}")
    if run.candidate_pair is not None:
        there = f", {run.round_trip_ms:.0f} ms there and back" if run.round_trip_ms is not None else ""
        show.line(f"path            {run.candidate_pair.local} → {run.candidate_pair.remote}{there}")
    show.line()


def _many(made: "Report") -> None:
    summary = made.summary.to_json()
    show.line(f"{made.summary.ok} of {len(made.runs)} calls heard")
    for name, label in (
        ("first_word_ms", "first word"),
        ("voice_to_voice_ms", "voice to voice"),
        ("barge_in_ms", "barge-in"),
    ):
        spread = summary[name]
        if spread["p50"] is not None:
            show.line(f"{label:<15} p50 {spread['p50'] / 1000:.2f} s   p95 {spread['p95'] / 1000:.2f} s")
    show.line()
