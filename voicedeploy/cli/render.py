"""`voicedeploy render`."""

from pathlib import Path
from typing import Annotated

import typer

from voicedeploy.cli import options, show


def render(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write into this folder.", metavar="DIR")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write the files that `up` would put on the target, and do nothing else."""
    from voicedeploy.errors import UsageError

    spec = options.project_at(file, where)
    provider = options.provider(spec, where, host)
    artifacts = provider.render(spec)
    if output is not None:
        for artifact in artifacts:
            path = output / artifact.path
            if path.exists() and path.read_text("utf-8") != artifact.text:
                raise UsageError(f"{path} exists and differs", hint="choose an empty folder with -o")
        if output.resolve().is_relative_to(spec.root) and output.resolve() != spec.root:
            # What is rendered from the project must not be part of it, or each rendering would make a new release.
            output.mkdir(parents=True, exist_ok=True)
            (output / ".gitignore").write_text("*\n", "utf-8")
        for artifact in artifacts:
            path = output / artifact.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(artifact.text, "utf-8", newline="\n")
            path.chmod(artifact.mode)
    if json:
        files = [{"path": a.path, "mode": f"{a.mode:04o}", "text": a.text} for a in artifacts]
        show.data({"provider": provider.name, "output": str(output) if output else None, "files": files})
        return
    for artifact in artifacts:
        if output is not None:
            show.line(str(output / artifact.path))
        else:
            show.line(f"# --- {artifact.path}")
            show.line(artifact.text)
