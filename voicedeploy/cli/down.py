"""`voicedeploy down`."""

from typing import Annotated

import typer

from voicedeploy.cli import options, show


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
    from voicedeploy import engine
    from voicedeploy.cli import progress
    from voicedeploy.cli.proof import no_proof
    from voicedeploy.cli.up import confirm

    spec = options.project(file) if bot is None else None
    provider = options.provider(spec, where, host)
    name = spec.bot.name if spec else str(bot)
    if dry_run:
        plan = provider.plan(None, provider.find(name))
        for text in progress.lines(plan):
            show.line(text)
        return
    with provider.lock(name, "voicedeploy down"):
        have = provider.find(name)
        plan = provider.plan(None, have)
        if now:
            plan = plan.at_once()
        if not plan.empty:
            if not yes:
                confirm(plan)
            engine.carry_out(plan, provider.target(), no_proof, progress.Ticker(quiet=json))
    if json:
        steps = [{"change": s.change, "summary": s.summary} for s in plan.steps]
        show.data({"provider": provider.name, "bot": name, "changed": not plan.empty, "steps": steps})
    elif plan.empty:
        show.line(f"nothing to take away: {name} is not on {provider.name}")
    else:
        show.line(f"{name} is gone from {provider.name}")
