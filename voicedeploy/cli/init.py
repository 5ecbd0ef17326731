"""`voicedeploy init`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicedeploy.cli import options, show

if TYPE_CHECKING:
    from voicedeploy.init import Adopted, Made


def init(
    directory: Annotated[
        Path, typer.Argument(help="A new folder, or one with a Pipecat bot.", metavar="[DIR]")
    ] = Path(),
    name: Annotated[str | None, typer.Option("--name", help="The bot's name; otherwise the folder's.")] = None,
    transport: Annotated[str | None, typer.Option("--transport", help="webrtc, daily, twilio, …", metavar="T")] = None,
    services: Annotated[
        str, typer.Option("--services", help="offline: no keys, no network; cloud: keys.", metavar="S")
    ] = "offline",
    where: Annotated[str, typer.Option("--provider", help="Where it is to run.", metavar="P")] = "local",
    entry: Annotated[
        str | None, typer.Option("--entry", help="The file with `async def bot`, where there are several.")
    ] = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Make a new bot project, or adopt the Pipecat bot in DIR: that adds only voicedeploy.toml."""
    from voicedeploy import init as projects
    from voicedeploy import registry
    from voicedeploy.errors import UsageError
    from voicedeploy.network import Transport

    kind = options.kind(transport) if transport else None
    if services not in [known.value for known in projects.Services]:
        raise UsageError(f"there are no services {services!r}", hint=f"one of {', '.join(projects.Services)}")
    if where not in registry.names():
        registry.load(where)
    if projects.is_new(directory):
        made = projects.make(
            directory,
            name=name,
            transport=kind or Transport.WEBRTC,
            services=projects.Services(services),
            provider=where,
        )
        _made(made, directory, json=json)
    else:
        _adopted(
            projects.adopt(directory, name=name, transport=kind, provider=where, entry=entry), directory, json=json
        )


def _made(made: "Made", directory: Path, *, json: bool) -> None:
    if json:
        show.data(
            {
                "made": str(made.root),
                "name": made.name,
                "transport": made.transport.value,
                "services": made.services.value,
                "files": list(made.files),
                "secrets": list(made.secrets),
                "locked": made.locked,
            }
        )
        return
    show.line(f"{made.root.name}/  {'  '.join(made.files)}")
    if made.services.value == "offline":
        show.line("Speaks and listens offline: no keys, no network.")
    if not made.locked:
        show.note(f"warning: no uv.lock: {made.unlocked}")
        show.note("  fix    uv lock")
    _next(directory, made.secrets)


def _adopted(adopted: "Adopted", directory: Path, *, json: bool) -> None:
    if json:
        show.data(
            {
                "adopted": str(adopted.root),
                "name": adopted.name,
                "entry": adopted.entry,
                "transport": adopted.transport.value,
                "transports": [transport.value for transport in adopted.transports],
                "files": list(adopted.files),
                "secrets": list(adopted.secrets),
                "dependencies": list(adopted.dependencies.files),
                "notes": list(adopted.notes),
            }
        )
        return
    serves = ", ".join(transport.value for transport in adopted.transports or (adopted.transport,))
    show.line(f"adopted {adopted.entry} as {adopted.name}: {serves}, {adopted.dependencies.files[-1]}")
    show.line("voicedeploy.toml is new; nothing else was changed.")
    for note in adopted.notes:
        show.note(f"note: {note}")
    _next(directory, adopted.secrets)


def _next(directory: Path, secrets: tuple[str, ...]) -> None:
    here = directory.resolve() == Path.cwd()
    steps = [] if here else [f"cd {os.path.relpath(directory)}"]
    if secrets:
        steps.append("voicedeploy secrets set")
    show.line()
    show.line(f"next: {' && '.join([*steps, 'voicedeploy up'])}")
