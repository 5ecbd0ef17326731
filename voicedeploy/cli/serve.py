"""`voicedeploy serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicedeploy.cli import options

if TYPE_CHECKING:
    from voicedeploy.spec import Spec

KEY = "VOICEDEPLOY_KEY"


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", help="The front's configuration, as `up` or `render` writes it.")
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option("--upstream", help="In place of --config: a front for bots that run there.", metavar="P"),
    ] = None,
    file: options.File = options.SPEC,
    host: Annotated[str, typer.Option("--host", help="With --upstream: where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="With --upstream.", min=0, max=65535)] = 7860,
) -> None:
    """Run the front, in the foreground. `up` starts it on every target; you seldom type it.

    With --upstream the secrets are variables of the environment, and so is the key that governs the front:
    VOICEDEPLOY_KEY, made anew for each run where it is not set.
    """
    from voicedeploy.errors import UsageError

    if (config is None) == (upstream is None):
        raise UsageError("either --config or --upstream", hint="voicedeploy serve --upstream pipecat-cloud")
    try:
        from voicedeploy.serve.run import serve as run
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the front needs {error.name}, which is not installed", hint="pip install 'voicedeploy[serve]'"
        ) from error
    if config is not None:
        raise typer.Exit(run(config))
    import tempfile

    with tempfile.TemporaryDirectory(prefix="voicedeploy-") as folder:
        raise typer.Exit(run(_written(Path(folder), _led(file, str(upstream)), host, port)))


def _led(file: Path, upstream: str) -> "Spec":
    from voicedeploy import upstream as elsewhere
    from voicedeploy.spec import Upstream

    spec = options.project(file)
    if spec.upstream.provider != upstream:
        spec = spec.with_upstream(Upstream(provider=upstream))
    return elsewhere.seen_from(spec, "serve")


def _written(folder: Path, spec: "Spec", host: str, port: int) -> Path:
    import os
    import secrets
    import sys

    from voicedeploy import front

    os.environ.setdefault(KEY, secrets.token_urlsafe(32))
    seat = front.Seat(
        project=str(spec.root),
        python=sys.executable,
        secrets="",
        key="",
        socket=str(folder / "front.sock"),
        host=host,
        port=port,
        udp_ports="",
        trusted_proxies=("127.0.0.0/8", "::1/128"),
        open_on_loopback=True,
        hold=False,
        key_env=KEY,
        from_env=True,
    )
    path = folder / "front.toml"
    path.write_text(front.config(spec, "serve", seat), "utf-8")
    return path
