"""The bot's own environment, made by uv from exactly what the project locks. Nothing of ours is installed in it."""

from collections.abc import Mapping

from voicedeploy import project
from voicedeploy.packages import own_extra, requirements
from voicedeploy.plan import Command, Step
from voicedeploy.spec import Spec


def digest(spec: Spec) -> str:
    """The environment's name: releases with the same lock file and Python share one, if their transports need the same.

    So a switch makes another environment, and switching back finds the old one.
    """
    own = requirements(spec.root, spec.transport.kind)
    return project.dependencies(spec.root).digest(spec.root, spec.bot.python or "", *own)[:12]


def steps(spec: Spec, *, uv: str, folder: str, source: str, env: Mapping[str, str], exists: bool) -> list[Step]:
    """What makes the environment in `folder` from the release's files in `source`, both on the target.

    `uv` and `env` are how uv is run there. Cheap when the environment is already there: uv then finds nothing to do.
    """
    needs = project.dependencies(spec.root)
    interpreter = ("--python", spec.bot.python) if spec.bot.python else ()
    name = folder.rpartition("/")[2]
    detail = f"reuses {name}" if exists else needs.files[-1]
    if needs.source is project.Source.REQUIREMENTS:
        make = (uv, "venv", "--quiet", "--allow-existing", *interpreter, folder)
        install = (uv, "pip", "install", "--compile-bytecode", "--python", folder, "-r", "requirements.txt")
        return [
            Step("+", "python", name, Command(make, env=env)),
            Step("+", "environment", detail, Command(install, cwd=source, env=env)),
        ]
    sync = (uv, "sync", "--no-dev", "--no-install-project", "--compile-bytecode", *interpreter)
    own = own_extra(spec.root, spec.transport.kind)
    extra = ("--extra", own) if own else ()
    frozen = ("--frozen",) if needs.locked else ()
    where = {**env, "UV_PROJECT_ENVIRONMENT": folder}
    return [Step("+", "environment", detail, Command((*sync, *extra, *frozen), cwd=source, env=where))]


def hint(said: str) -> str:
    """What to do about what uv said when it failed; "" where nobody knows."""
    if "No module named" in said:
        return "add the module to the bot's dependencies (uv add …), then `voicedeploy up` again"
    if "dns error" in said or "lookup address" in said or "Failed to fetch" in said or "error sending request" in said:
        return "the packages have to come over the network once; check it, then `voicedeploy up` again"
    if "No space left" in said or "os error 28" in said:
        return "free some disk space, then `voicedeploy up` again"
    if "No interpreter found" in said or "no interpreter found" in said:
        return "install that Python, or change `bot.python` in voicedeploy.toml"
    if "cannot open shared object file" in said:
        return 'a library of the system is missing there; on a VM: [provider.vm] packages = ["libgl1"] or the like'
    if "lockfile" in said:
        return "`uv lock` in the project brings the lock file up to date"
    return ""


def packages(said: str) -> str:
    """uv's own count of what it did: `112 packages`."""
    for line in reversed(said.splitlines()):
        words = line.split()
        if words[:1] == ["Installed"] and words[2:3] in (["packages"], ["package"]):
            return f"{words[1]} {words[2]}"
    return ""
