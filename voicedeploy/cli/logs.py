"""`voicedeploy logs`."""

import json as _json
import sys
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
        show.line(text if json else _readable(text))


def _readable(text: str) -> str:
    """`time  session  event  message` of one JSON line; anything else as it is."""
    try:
        said = _json.loads(text)
    except ValueError:
        return text
    if not isinstance(said, dict):
        return text
    clock = str(said.pop("ts", ""))[11:23]
    session = str(said.pop("session", None) or "-")[:8]
    event = str(said.pop("event", ""))
    level = str(said.pop("level", ""))
    for name in ("release", "process"):
        said.pop(name, None)
    message = str(said.pop("text", "") or said.pop("message", ""))
    rest = " ".join(f"{key}={value}" for key, value in said.items() if value not in (None, "", [], {}))
    body = "  ".join(part for part in (event if event != "output" else "", message, rest) if part)
    colour = {"error": "red", "warning": "yellow"}.get(level)
    return show.paint(f"{clock} {session:<8} {body}", colour, sys.stdout) if colour else f"{clock} {session:<8} {body}"
