"""The user's project on disk: which files are the bot, what it depends on, and the name of a release."""

import hashlib
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pathspec import GitIgnoreSpec

from voicedeploy.errors import NotReady

# Never part of a release, whatever the ignore files say: secrets, environments, caches, history.
_NEVER = GitIgnoreSpec.from_lines("""\
.env
.env.*
!.env.example
*.pem
*.key
.git/
.hg/
.venv/
venv/
node_modules/
__pycache__/
*.pyc
*.egg-info/
.mypy_cache/
.ruff_cache/
.pytest_cache/
.DS_Store
""".splitlines())
_IGNORE_FILES = (".gitignore", ".dockerignore")
_MOST_BYTES = 200 * 2**20


class Source(Enum):
    """Where a project says what it depends on."""

    UV_LOCK = "uv.lock"
    PYPROJECT = "pyproject.toml"
    REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class Dependencies:
    """`files` are the files that decide the environment, relative to the project."""

    source: Source
    files: tuple[str, ...]

    @property
    def locked(self) -> bool:
        return self.source is Source.UV_LOCK

    def digest(self, root: Path, *extra: str) -> str:
        """The name of the environment these files make: equal names mean that it can be used again."""
        return _digest(root, self.files, *extra)


def dependencies(root: Path) -> Dependencies:
    """What the project in `root` depends on; `NotReady` where it does not say."""
    if (root / "pyproject.toml").is_file():
        if (root / "uv.lock").is_file():
            return Dependencies(Source.UV_LOCK, ("pyproject.toml", "uv.lock"))
        return Dependencies(Source.PYPROJECT, ("pyproject.toml",))
    if (root / "requirements.txt").is_file():
        return Dependencies(Source.REQUIREMENTS, ("requirements.txt",))
    raise NotReady(
        f"{root}: nothing says what the bot depends on",
        hint="write a requirements.txt, e.g. with the line: pipecat-ai[webrtc,runner]==1.14.0",
    )


def files(root: Path) -> tuple[str, ...]:
    """The files of a release: all of the project but what git or Docker ignore, secrets and environments.

    Relative to `root`, with `/`, sorted.
    """
    lines = [
        line
        for name in _IGNORE_FILES
        if (root / name).is_file()
        for line in (root / name).read_text("utf-8").splitlines()
    ]
    ignored = GitIgnoreSpec.from_lines(lines)
    found: list[str] = []
    total = 0
    for folder, subfolders, names in os.walk(root):
        here = Path(folder).relative_to(root)

        def kept(name: str, slash: str, here: Path = here) -> bool:
            path = (here / name).as_posix() + slash
            # Docker ignores a lock file or README for the image's sake; the environment is made from them.
            return not _NEVER.match_file(path) and (not ignored.match_file(path) or path in _ALWAYS)

        subfolders[:] = sorted(d for d in subfolders if kept(d, "/") and not (Path(folder) / d / "pyvenv.cfg").exists())
        for name in names:
            path = Path(folder) / name
            if kept(name, "") and path.is_file() and path.resolve().is_relative_to(root.resolve()):
                found.append((here / name).as_posix())
                total += path.stat().st_size
    if total > _MOST_BYTES:
        raise NotReady(
            f"{root}: the project has {total / 2**20:.0f} MiB of files",
            hint="name what the bot does not need in .dockerignore or .gitignore",
        )
    return tuple(sorted(found))


_ALWAYS = frozenset({"pyproject.toml", "uv.lock", "requirements.txt", "README.md"})


def release(root: Path, names: tuple[str, ...], *extra: str) -> str:
    """The name of a release, seven hexadecimal digits: the same files and settings always make the same name."""
    return _digest(root, names, *extra)[:7]


def _digest(root: Path, names: tuple[str, ...], *extra: str) -> str:
    digest = hashlib.sha256()
    for text in extra:
        digest.update(f"{len(text)}:{text}".encode())
    for name in names:
        content = (root / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
