"""What of voicedeploy itself runs beside the bot on a target: the front and the caller, exactly as they are here."""

import hashlib
from pathlib import Path

import voicedeploy

FOLDER = Path(voicedeploy.__file__).parents[1]
"""Holds the package `voicedeploy`; `files` are relative to it."""
LOCK = "voicedeploy/data/host.lock"
"""Its packages, with hashes."""
ROOMS = ("serve", "call")
ALONE = ("__init__.py", "ask.py", "errors.py", "way.py", "data/host.lock")


def files() -> tuple[str, ...]:
    package = FOLDER / "voicedeploy"
    rooms = (path for room in ROOMS for path in (package / room).rglob("*"))
    inside = (path for path in rooms if path.is_file() and "__pycache__" not in path.parts)
    found = {path.relative_to(package).as_posix() for path in inside} | set(ALONE)
    return tuple(f"voicedeploy/{name}" for name in sorted(found))


def identity() -> str:
    """Seven hexadecimal digits that change with every byte of what goes to a target."""
    digest = hashlib.sha256()
    for name in files():
        content = (FOLDER / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:7]
