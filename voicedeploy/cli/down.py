"""`voicedeploy down`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicedeploy.cli import options, show

if TYPE_CHECKING:
    from voicedeploy.plan import Plan
    from voicedeploy.provider import Provider


def down(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    bot: Annotated[str | None, typer.Option("--bot", help="Its name, where there is no spec at hand.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Cut running calls instead of waiting for them.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Take the bot away, with everything that `up` made. Running calls end in their own time."""
    spec = options.project(file) if bot is None else None
    name = spec.bot.name if spec else str(bot)
    answers = [
        _one(provider, name, now=now, dry_run=dry_run, yes=yes, json=json)
        for provider in options.providers(spec, where, host)
    ]
    if json:
        show.data(options.together(answers))


def _one(provider: "Provider", name: str, *, now: bool, dry_run: bool, yes: bool, json: bool) -> dict[str, Any]:
    from voicedeploy import engine
    from voicedeploy.cli import progress
    from voicedeploy.cli.proof import no_proof
    from voicedeploy.cli.up import confirm

    if dry_run:
        plan = provider.plan(None, provider.find(name))
        if not json:
            for text in progress.lines(plan):
                show.line(text)
        return _answer(provider, name, plan, changed=False)
    if provider.find(name) is None:
        # Nothing is locked, so that nothing is made where there is nothing.
        if not json:
            show.line(f"nothing to take away: {name} is not on {provider.where}")
        return _answer(provider, name, provider.plan(None, None), changed=False)
    with provider.lock(name, "voicedeploy down"):
        plan = provider.plan(None, provider.find(name))
        if now:
            plan = plan.at_once()
        if not plan.empty:
            if not yes:
                confirm(plan)
            engine.carry_out(plan, provider.target(), no_proof, progress.Ticker(quiet=json))
    if not json:
        show.line(f"{name} is gone from {provider.where}")
    return _answer(provider, name, plan, changed=not plan.empty)


def _answer(provider: "Provider", name: str, plan: "Plan", *, changed: bool) -> dict[str, Any]:
    steps = [{"change": s.change, "summary": s.summary} for s in plan.steps]
    return {"provider": provider.name, "bot": name, "changed": changed, "steps": steps}
