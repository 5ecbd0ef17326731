"""`voicedeploy rollback`."""

from typing import Annotated, Any

import typer

from voicedeploy.cli import options, show


def rollback(
    release: Annotated[str, typer.Argument(help="Which; otherwise the last one that was live before.")] = "",
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    yes: options.Yes = False,
    no_call: Annotated[bool, typer.Option("--no-call", help="Take it on trust: no call proves it.")] = False,
    json: options.Json = False,
) -> None:
    """Go back to a release that the target still holds. Running calls end in their own time."""
    from voicedeploy.cli import progress
    from voicedeploy.cli.proof import Proof
    from voicedeploy.cli.up import carry_out
    from voicedeploy.errors import NotReady

    spec = options.project(file)
    answers: list[dict[str, Any]] = []
    for part in options.providers(spec, where, host):
        with part.lock(spec.bot.name, "voicedeploy rollback"):
            have = part.find(spec.bot.name)
            if have is None:
                raise NotReady(f"{spec.bot.name} is not on {part.name}", hint="`voicedeploy up`")
            plan = part.back(have, release)
            plan = plan.without_proof() if no_call else plan
            proof = Proof()
            if not json and (dry_run or plan.empty):
                for text in progress.lines(plan) if not plan.empty else (f"{plan.want} is live already",):
                    show.line(text)
            if not dry_run and not plan.empty:
                carry_out(plan, part, yes=yes, json=json, proof=proof)
        answers.append(
            {
                "provider": part.name,
                "bot": have.bot,
                "have": plan.have,
                "release": plan.want,
                "url": have.url,
                "changed": not (plan.empty or dry_run),
                "steps": [{"change": s.change, "summary": s.summary} for s in plan.steps],
                "call": proof.run,
            }
        )
    if json:
        show.data(options.together(answers))
