"""The bot's own environment, made by uv from exactly what the project locks. Nothing of ours is installed in it."""

import sys
from pathlib import Path

import uv

from voicedeploy import project
from voicedeploy.plan import Command, Step
from voicedeploy.spec import Spec
from voicedeploy_providers.local.places import Places


def voicedeploy() -> tuple[str, ...]:
    """How to run this very voicedeploy again."""
    return (sys.executable, "-m", "voicedeploy")


def _folder(spec: Spec, places: Places) -> Path:
    return places.environment(project.dependencies(spec.root).digest(spec.root, spec.bot.python or ""))


def python(spec: Spec, places: Places) -> Path:
    return _folder(spec, places) / "bin" / "python"


def steps(spec: Spec, places: Places, release: str) -> list[Step]:
    """Cheap when the environment is already there: uv then finds nothing to do."""
    needs = project.dependencies(spec.root)
    folder, root = _folder(spec, places), places.release(release)
    interpreter = ("--python", spec.bot.python) if spec.bot.python else ()
    detail = f"reuses {folder.name}" if folder.exists() else needs.files[-1]
    tool = uv.find_uv_bin()
    if needs.source is project.Source.REQUIREMENTS:
        make = (tool, "venv", "--quiet", "--allow-existing", *interpreter, str(folder))
        install = (
            tool,
            "pip",
            "install",
            "--compile-bytecode",
            "--python",
            str(folder),
            "-r",
            "requirements.txt",
        )
        return [
            Step("+", "python", folder.name, Command(make)),
            Step("+", "environment", detail, Command(install, cwd=str(root))),
        ]
    sync = (tool, "sync", "--no-dev", "--no-install-project", "--compile-bytecode", *interpreter)
    frozen = ("--frozen",) if needs.locked else ()
    env = {"UV_PROJECT_ENVIRONMENT": str(folder)}
    return [Step("+", "environment", detail, Command((*sync, *frozen), cwd=str(root), env=env))]
