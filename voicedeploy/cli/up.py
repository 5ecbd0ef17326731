"""`voicedeploy up`."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicedeploy.cli import options, show
from voicedeploy.errors import UsageError

if TYPE_CHECKING:
    from voicedeploy.cli.proof import Proof
    from voicedeploy.deployment import Deployment
    from voicedeploy.engine import Checkup
    from voicedeploy.plan import Plan
    from voicedeploy.provider import Provider
    from voicedeploy.spec import Spec

NoCall = Annotated[bool, typer.Option("--no-call", help="Take it on trust: no call proves it.")]


@dataclass(frozen=True)
class How:
    """What was typed about how to bring a bot up. `command` is the one that was typed."""

    dry_run: bool = False
    yes: bool = False
    no_call: bool = False
    tested_udp: bool = False
    json: bool = False
    command: str = "up"

    def __post_init__(self) -> None:
        if self.tested_udp and self.no_call:
            raise UsageError(
                "--i-tested-udp without a call proves nothing", hint="leave out --no-call: the call is what proves it"
            )


def up(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    yes: options.Yes = False,
    no_call: NoCall = False,
    tested_udp: options.Tested = False,
    json: options.Json = False,
) -> None:
    """Bring the bot up, or up to date: check, plan, carry out, and prove it with one real call."""
    from voicedeploy.cli import progress

    how = How(dry_run=dry_run, yes=yes, no_call=no_call, tested_udp=tested_udp, json=json)
    spec = options.project_at(file, where)
    answers = []
    for provider in options.providers(spec, where, host):
        if not json:
            progress.heading(provider.where, spec.bot.name, spec.transport.kind.value)
        answers.append(bring(provider, spec, how))
    if json:
        show.data(options.together(answers))


def bring(provider: "Provider", spec: "Spec", how: How, begins: Callable[[], None] | None = None) -> dict[str, Any]:
    """One place brought up; the answer of `--json`. A failure goes up at once: what comes after it is not begun.

    `begins` is told right before the first change.
    """
    from voicedeploy import engine
    from voicedeploy.cli import progress
    from voicedeploy.cli.proof import Proof

    checkup = engine.check(provider, spec, closely=False, tested_udp=how.tested_udp)
    if not how.json:
        warn(checkup)
    engine.refuse(checkup)
    if checkup.to_prove and how.no_call:
        raise UsageError(
            "nobody has seen that packets get through there, and without a call nobody will",
            hint="leave out --no-call: the call is what proves it",
        )
    if how.dry_run:
        return _dry_run(provider, spec, no_call=how.no_call, json=how.json)
    with provider.lock(spec.bot.name, f"voicedeploy {how.command}"):
        have = provider.find(spec.bot.name)
        plan = _plan(provider, spec, have, no_call=how.no_call)
        if checkup.to_prove:
            plan = replace(plan, verify=True)
        proof = Proof()
        if plan.empty:
            if checkup.to_prove:
                engine.verify(plan, provider, proof, progress.Ticker(quiet=how.json))
            return _unchanged(have, spec, plan, json=how.json, call=proof.run)
        if have and not how.json and (busy := provider.status(have).sessions):
            show.note(f"{_calls(busy)} on {have.release} now, to end there in their own time")
        now = carry_out(plan, provider, yes=how.yes, json=how.json, proof=proof, begins=begins)
    return _answer(plan, spec, now, changed=True, call=proof.run)


def carry_out(
    plan: "Plan",
    provider: "Provider",
    *,
    yes: bool,
    json: bool,
    proof: "Proof",
    begins: Callable[[], None] | None = None,
) -> "Deployment | None":
    """Asks where a plan wants that, carries it out and verifies it; on the terminal then the address to talk to.

    What stands there afterwards.
    """
    from voicedeploy import engine
    from voicedeploy.cli import progress
    from voicedeploy.cli.invite import HOUR_S, link

    if plan.asks and not yes:
        confirm(plan)
    if begins:
        begins()
    ticker = progress.Ticker(quiet=json)
    began = time.monotonic()
    engine.carry_out(plan, provider.target(), proof, ticker)
    took_s = time.monotonic() - began
    engine.verify(plan, provider, proof, ticker)
    have = provider.find(plan.bot)
    if have and not json:
        show.note()
        left = [
            f"{_calls(old.sessions)} on {old.release} still" for old in provider.status(have).draining if old.sessions
        ]
        show.note("; ".join([f"{have.release} is live after {took_s:.1f} s", *left]))
        # A link that lets people in is for the person at the terminal, not for a log file.
        watched, door = sys.stdout.isatty(), provider.door(have)
        if not door.page:
            stream = door.way.told if door.way else ""
            show.line(f"Calls come to {stream}" if stream else f"Calls begin at {have.url}/start")
            return have
        show.line(f"Talk to it: {link(door, HOUR_S) if watched else have.url}")
        if have.url.startswith("https:"):
            show.line(
                "(good for an hour; `voicedeploy status --invite 7d` makes another)"
                if watched
                else "`voicedeploy status --invite 7d` makes a link that lets somebody in"
            )
    return have


def _calls(count: int) -> str:
    return f"{count} call{'s run' if count != 1 else ' runs'}"


def _plan(provider: "Provider", spec: "Spec", have: "Deployment | None", *, no_call: bool) -> "Plan":
    plan = provider.plan(spec, have)
    return plan.without_proof() if no_call else plan


def _dry_run(provider: "Provider", spec: "Spec", *, no_call: bool, json: bool) -> dict[str, Any]:
    from voicedeploy.cli import progress
    from voicedeploy.plan import describe

    plan = _plan(provider, spec, provider.find(spec.bot.name), no_call=no_call)
    if not json:
        for text in progress.lines(plan) if not plan.empty else ("nothing to change",):
            show.line(text)
    steps = [{"change": s.change, "summary": s.summary, "action": describe(s.action)} for s in plan.steps]
    return {"provider": plan.provider, "have": plan.have, "want": plan.want, "steps": steps}


def _unchanged(
    have: "Deployment | None", spec: "Spec", plan: "Plan", *, json: bool, call: dict[str, Any] | None
) -> dict[str, Any]:
    if not json:
        show.line(f"nothing to change: {plan.want} answers at {have.url if have else ''}")
    return _answer(plan, spec, have, changed=False, call=call)


def _answer(
    plan: "Plan", spec: "Spec", have: "Deployment | None", *, changed: bool, call: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "provider": plan.provider,
        "bot": spec.bot.name,
        "release": plan.want,
        "transport": spec.transport.kind.value,
        "url": have.url if have else "",
        "changed": changed,
        "steps": [{"change": s.change, "summary": s.summary} for s in plan.steps],
        "call": call,
    }


def warn(checkup: "Checkup") -> None:
    for finding in checkup.findings:
        if finding.severity == "warning":
            show.note(f"{show.paint('warning', 'yellow', sys.stderr)}  {finding.code}  {finding.message}")
            show.note(f"  fix      {finding.fix}")


def confirm(plan: "Plan") -> None:
    """Shows the plan and asks; `NotReady` where nobody can answer or the answer is no."""
    from voicedeploy.cli import progress
    from voicedeploy.errors import NotReady

    progress.preview(plan)
    if not sys.stdin.isatty():
        raise NotReady(
            "this needs a yes, and there is no terminal to ask", hint="read the plan with --dry-run, then use --yes"
        )
    show.note()
    if not typer.confirm("Go ahead?", err=True):
        raise NotReady("not confirmed; nothing was changed")
