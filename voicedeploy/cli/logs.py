"""`voicedeploy logs`."""

from typing import Annotated

import typer

from voicedeploy.cli import options, show


def logs(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new lines as they come.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
    session: Annotated[str, typer.Option("--session", help="Only this call: its id or how it begins.")] = "",
    json: Annotated[bool, typer.Option("--json", help="The lines as they are: one JSON object each.")] = False,
) -> None:
    """Show the log of the front and the bot, oldest line first."""
    from voicedeploy.errors import NotReady

    spec = options.project(file)
    provider = options.provider(spec, where, host)
    have = provider.find(spec.bot.name)
    if have is None:
        raise NotReady(f"{spec.bot.name} is not on {provider.name}", hint="`voicedeploy up`")
    for text in provider.logs(have, follow=follow, lines=lines, session=session):
        show.line(text if json else show.log_line(text))
