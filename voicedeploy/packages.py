"""Which packages a project installs for its transport.

A project may have an extra of its own with the transport's name (`[project.optional-dependencies]`): then `up` installs
that one and no other, so that a switch changes neither pyproject.toml nor uv.lock.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from voicedeploy import transports
from voicedeploy.network import Transport
from voicedeploy.project import Dependencies, Source

_PIPECAT = "pipecat-ai"


def own_extra(root: Path, transport: Transport) -> str:
    """The project's own extra for the transport; "" where it has none."""
    return transport.value if transport.value in _extras(root) else ""


def requirements(root: Path, transport: Transport) -> tuple[str, ...]:
    """What that extra asks for, sorted."""
    return tuple(sorted(_extras(root).get(transport.value, ())))


def lacking(root: Path, needs: Dependencies, transport: Transport) -> tuple[tuple[str, ...], str]:
    """The transport's packages that an environment would not have, and what to type; nothing where it has them or
    where nobody can tell."""
    about = transports.about(transport)
    if needs.source is Source.UV_LOCK:
        own = own_extra(root, transport)
        there = _locked(root / "uv.lock", own)
        if there is None:
            return (), ""
        names, extras = there
        if own and own not in extras:
            return about.packages, "uv lock"
        missing = tuple(name for name in about.packages if name not in names)
        return missing, f"uv add '{about.requirement}'" if missing else ""
    asked = _asked(root, needs, transport)
    ours = next((one for one in asked or () if canonicalize_name(one.name) == _PIPECAT), None)
    if asked is None or ours is None:
        return (), ""
    named = {canonicalize_name(one.name) for one in asked}
    extras = {one for r in asked if canonicalize_name(r.name) == _PIPECAT for one in r.extras}
    missing = tuple(name for name in about.packages if name not in named)
    if not missing or extras & {about.extra, *about.also}:
        return (), ""
    if needs.source is Source.PYPROJECT:
        return missing, f"uv add '{about.requirement}'"
    wanted = f"{_PIPECAT}[{','.join(sorted({*extras, about.extra}))}]{ours.specifier}"
    return missing, f"write {wanted} in {needs.files[0]}"


def _extras(root: Path) -> Mapping[str, tuple[str, ...]]:
    extras = _pyproject(root).get("optional-dependencies")
    if not isinstance(extras, dict):
        return {}
    listed = ((name, asked) for name, asked in extras.items() if isinstance(asked, list))
    return {canonicalize_name(name): tuple(map(str, asked)) for name, asked in listed}


def _pyproject(root: Path) -> Mapping[str, Any]:
    try:
        found = tomllib.loads((root / "pyproject.toml").read_text("utf-8")).get("project")
    except (OSError, ValueError):
        return {}  # uv says what is wrong with it, better than we could
    return found if isinstance(found, dict) else {}


# --- a lock file ------------------------------------------------------------------------------------


def _locked(lock: Path, extra: str) -> tuple[set[str], set[str]] | None:
    """What a lock file installs with one extra of the project and no group, and the extras that it knows; None where it
    cannot be read."""
    try:
        packages = tomllib.loads(lock.read_text("utf-8")).get("package", [])
        known: dict[str, list[Mapping[str, Any]]] = {}
        for package in packages:
            known.setdefault(package["name"], []).append(package)
        project = next((package for package in packages if _is_project(package.get("source", {}))), None)
        if project is None:
            return set(known), {extra}
        extras = {*project.get("optional-dependencies", {}), *project.get("metadata", {}).get("provides-extras", ())}
        return _closure(known, project, extra), extras
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_project(source: Mapping[str, str]) -> bool:
    return "." in (source.get("virtual"), source.get("editable"), source.get("directory"))


def _closure(known: Mapping[str, list[Mapping[str, Any]]], root: Mapping[str, Any], extra: str) -> set[str]:
    todo = [(root["name"], part) for part in ("", extra)]
    seen: set[tuple[str, str]] = set()
    while todo:
        name, part = todo.pop()
        if (name, part) in seen:
            continue
        seen.add((name, part))
        for package in known.get(name, ()):
            asked = package.get("optional-dependencies", {}).get(part, []) if part else package.get("dependencies", [])
            todo += [(one["name"], also) for one in asked for also in ("", *one.get("extra", ()))]
    return {name for name, _ in seen}


# --- lists of requirements --------------------------------------------------------------------------


def _asked(root: Path, needs: Dependencies, transport: Transport) -> list[Requirement] | None:
    """What is asked for by name; None where part of it has none (a path, an address)."""
    if needs.source is Source.PYPROJECT:
        listed = _pyproject(root).get("dependencies", [])
        lines = [*map(str, listed), *requirements(root, transport)] if isinstance(listed, list) else []
    else:
        lines = list(_lines(root / needs.files[0], set()))
    try:
        return [Requirement(line) for line in lines]
    except InvalidRequirement:
        return None


def _lines(file: Path, seen: set[Path]) -> Iterator[str]:
    """The requirements of a file and of those it includes, without comments, hashes and options."""
    if file in seen or not file.is_file():
        return
    seen.add(file)
    for line in file.read_text("utf-8").replace("\\\n", " ").splitlines():
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if include := re.fullmatch(r"(?:-r|--requirement)[\s=]*(\S+)", text):
            yield from _lines(file.parent / include[1], seen)
        elif text.startswith(("-e", "--editable")):
            yield text
        elif text and not text.startswith("-"):
            yield re.sub(r"\s--hash[=\s]\S+", "", text).strip()
