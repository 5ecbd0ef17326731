"""Which Pipecat the project asks for, and whether it is one and the same each time."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from voicedeploy.lint.fault import Fault

_PIPECAT = "pipecat-ai"


@dataclass(frozen=True)
class Asked:
    """`version` is None where it is not one; `source` is the file that says it, "" where none does."""

    version: Version | None
    source: str
    faults: tuple[Fault, ...] = ()


def asked(root: Path, known: Version) -> Asked:
    """In the order in which an environment is made: uv.lock, pyproject.toml, requirements.txt.

    `known` is the Pipecat that can be recommended.
    """
    project = root / "pyproject.toml"
    if project.is_file() and (root / "uv.lock").is_file():
        return Asked(_locked(root / "uv.lock"), "uv.lock")
    file = "pyproject.toml" if project.is_file() else "requirements.txt"
    lines = list(_dependencies(project) if project.is_file() else _requirements(root / file, set()))
    found = [(line, requirement) for line, text in lines if (requirement := _requirement(text))]
    versions = [version for _, requirement in found if (version := _exact(requirement))]
    if versions or not found or any(requirement.url for _, requirement in found):
        return Asked(versions[0] if versions else None, file if found else "")
    line, requirement = found[0]
    fault = Fault(
        "VD161", "error", file, line,
        f"`{requirement}` without a lock file: the next environment may get another Pipecat",
        "uv lock" if file == "pyproject.toml" else f"pin it: {_pinned(requirement, known)}",
    )  # fmt: skip
    return Asked(None, file, (fault,))


def _pinned(requirement: Requirement, known: Version) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={known}"


def _locked(lock: Path) -> Version | None:
    try:
        packages = tomllib.loads(lock.read_text("utf-8")).get("package", [])
        return next((Version(p["version"]) for p in packages if p.get("name") == _PIPECAT and "version" in p), None)
    except (OSError, ValueError, TypeError, AttributeError, InvalidVersion):
        return None  # uv says what is wrong with it, better than we could


def _dependencies(file: Path) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text("utf-8")
        listed = tomllib.loads(text).get("project", {}).get("dependencies", [])
    except (OSError, ValueError, AttributeError):
        return
    lines = text.splitlines()
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, str):
            yield next((n for n, line in enumerate(lines, 1) if one in line), 1), one


def _requirements(file: Path, seen: set[Path]) -> Iterator[tuple[int, str]]:
    """Also of the files it includes, and of constraints: they pin as well."""
    if file in seen or not file.is_file():
        return
    seen.add(file)
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError):
        return
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*", "", line).strip().rstrip("\\").strip()
        if include := re.fullmatch(r"(?:-r|--requirement|-c|--constraint)[\s=]*(\S+)", bare):
            yield from _requirements(file.parent / include[1], seen)
        elif bare and not bare.startswith("-"):
            yield number, re.sub(r"\s--hash[=\s]\S+", "", bare)


def _requirement(text: str) -> Requirement | None:
    try:
        found = Requirement(text)
    except InvalidRequirement:
        return None
    return found if canonicalize_name(found.name) == _PIPECAT else None


def _exact(requirement: Requirement) -> Version | None:
    """The one release that is allowed, or the one minor release: only its corrections come by themselves."""
    for one in requirement.specifier:
        said = re.fullmatch(r"(?:===?)([\d.]+\w*)|==(\d+\.\d[\d.]*)\.\*|~=(\d+\.\d+\.\d+)", str(one))
        if said:
            try:
                return Version(next(part for part in said.groups() if part))
            except InvalidVersion:
                return None
    return None
