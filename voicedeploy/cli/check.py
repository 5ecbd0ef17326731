"""`voicedeploy check`."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from voicedeploy.cli import options, show
from voicedeploy.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicedeploy.engine import Checkup
    from voicedeploy.provider import Finding


def check(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    transport: options.Kind = None,
    tested_udp: options.Tested = False,
    json: options.Json = False,
) -> None:
    """Say everything that stands in the way, with the fix. Changes nothing."""
    from voicedeploy import engine

    spec = options.project_at(file, where, transport)
    checkups = []
    for provider in options.providers(spec, where, host):
        checkup = engine.check(provider, spec, tested_udp=tested_udp)
        checkups.append(checkup)
        if not json:
            _print(checkup, provider.where, spec.bot.name)
    if json:
        show.data(options.together([as_json(checkup) for checkup in checkups]))
        if any(checkup.blocked for checkup in checkups):
            raise typer.Exit(NotReady.exit_code)
    for checkup in checkups:
        engine.refuse(checkup)


def _print(checkup: "Checkup", where: str, bot: str) -> None:
    show.line(f"{where} · {bot} · {checkup.transport}")
    show.line()
    findings = checkup.findings
    if why := checkup.refused:
        row("packets", "no", f"{findings[0].code}  {checkup.verdict.reason}")
        for line in why.because:
            row("", "", line)
        for number, way in enumerate(why.instead):
            fix("or" if number else "fix", way)
        findings = findings[1:]
    else:
        row("packets", checkup.verdict.word, checkup.verdict.reason)
    if checkup.verdict.warning:
        row("", "warning", checkup.verdict.warning)
    for finding in findings:
        code = "" if finding.severity == "ok" else f"{finding.code}  "
        row(finding.subject, finding.severity, f"{code}{finding.message}")
        if finding.fix:
            fix("fix", finding.fix)


_COLOURS = {"error": "red", "no": "red", "warning": "yellow"}


def row(subject: str, word: str, message: str) -> None:
    """A line of a finding; `fix` goes below it."""
    show.line(f"{subject:<10} {show.paint(f'{word:<8}', _COLOURS.get(word, 'green'), sys.stdout)} {message}")


def fix(word: str, what: str) -> None:
    show.line(f"  {word:<17} {what}")


def as_json(checkup: "Checkup") -> dict[str, Any]:
    return {
        "provider": checkup.provider,
        "transport": checkup.transport.value,
        "verdict": checkup.verdict.word,
        "reason": checkup.verdict.reason,
        **({"overruled": True} if checkup.overruled else {}),
        "findings": as_rows(checkup.findings),
    }


def as_rows(findings: "Iterable[Finding]") -> list[dict[str, str]]:
    return [
        {"code": f.code, "severity": f.severity, "subject": f.subject, "message": f.message, "fix": f.fix}
        for f in findings
    ]
