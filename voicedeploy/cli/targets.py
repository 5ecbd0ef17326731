"""`voicedeploy targets`."""

import shutil
from typing import Annotated

import typer

from voicedeploy.cli import options, show


def targets(
    name: Annotated[str | None, typer.Argument(help="One target, explained in full.")] = None,
    json: options.Json = False,
) -> None:
    """Show what every known target carries: packets, limits, and the dated evidence."""
    from voicedeploy import registry
    from voicedeploy import targets as known

    installed = registry.names()
    rows = (known.find(name),) if name else known.load()
    if json:
        show.data(known.to_json(rows, installed))
    elif name:
        width = min(shutil.get_terminal_size((100, 24)).columns, 110)
        for text in known.explain(rows[0]).lines(width):
            show.line(text)
    else:
        show.table(known.table(rows, installed), known.COLUMNS)
        show.line()
        show.line("`voicedeploy targets NAME` explains one, with its evidence.")
