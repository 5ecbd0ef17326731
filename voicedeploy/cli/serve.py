"""`voicedeploy serve`."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    config: Annotated[Path, typer.Option("--config", help="The front's configuration, as `up` or `render` writes it.")],
) -> None:
    """Run the front beside the bot. `up` starts it on every target; you seldom type it."""
    from voicedeploy.errors import UsageError

    try:
        from voicedeploy.serve.run import serve as run
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the front needs {error.name}, which is not installed", hint="pip install 'voicedeploy[serve]'"
        ) from error
    raise typer.Exit(run(config))
