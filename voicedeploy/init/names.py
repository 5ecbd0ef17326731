"""Names of bots: they become part of unit names, host names and URLs, so they follow the rules of DNS labels."""

import re
from pathlib import Path

from voicedeploy.errors import UsageError

_LONGEST = 40


def checked(name: str) -> str:
    """`name`, or a `UsageError` that says which rule it breaks and what would do."""
    fault = _fault(name)
    if not fault:
        return name
    near = _nearest(name)
    raise UsageError(
        f"{name!r} cannot be the name of a bot: {fault}",
        hint=f"--name {near}" if near else "use lower-case letters, digits and '-', e.g. --name front-desk",
    )


def of_folder(root: Path) -> str:
    """The name that the folder's own name suggests."""
    folder = root.resolve().name
    near = _nearest(folder)
    if not near:
        raise UsageError(f"no name for a bot can be made of the folder's name {folder!r}", hint="add --name front-desk")
    return near


def spoken(name: str) -> str:
    """How a voice says it: `front-desk` → `Front desk`."""
    return name.replace("-", " ").capitalize()


def _fault(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > _LONGEST:
        return f"it has {len(name)} characters, {_LONGEST} is the most"
    if wrong := sorted(set(re.findall(r"[^a-z0-9-]", name))):
        return f"only lower-case letters, digits and '-' are allowed, not {' '.join(map(repr, wrong))}"
    if not name[0].isalpha():
        return "it must begin with a letter"
    if name.endswith("-"):
        return "it must end with a letter or a digit"
    return ""


def _nearest(name: str) -> str:
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())
    return re.sub(r"^[^a-z]+", "", label)[:_LONGEST].strip("-")
