"""The user's project on disk: which files are the bot, what it depends on, and the name of a release."""

import hashlib
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pathspec import GitIgnoreSpec

from voicedeploy.errors import NotReady

# Never part of a release, whatever the ignore files say: secrets, environments, caches, history.
_NEVER = GitIgnoreSpec.from_lines(
    """\
.env
.env.*
!.env.example
.envrc
*.pem
*.key
*.p12
*.pfx
id_rsa
id_ecdsa
id_ed25519
.netrc
.pypirc
.ssh/
.aws/
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
""".splitlines()
)
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
    ignoring: dict[Path, GitIgnoreSpec] = {}
    found: list[str] = []
    total = 0
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        if patterns := _patterns(here, _IGNORE_FILES if here == root else (".gitignore",)):
            ignoring[here] = GitIgnoreSpec.from_lines(patterns)
        subfolders[:] = sorted(d for d in subfolders if _kept(root, here / d, ignoring) and not _environment(here / d))
        for name in names:
            path = here / name
            if _kept(root, path, ignoring) and path.is_file() and _ours(root, path):
                found.append(path.relative_to(root).as_posix())
                total += path.stat().st_size
    if total > _MOST_BYTES:
        raise NotReady(
            f"{root}: the project has {total / 2**20:.0f} MiB of files",
            hint="name what the bot does not need in .dockerignore or .gitignore",
        )
    return tuple(sorted(found))


# Docker ignores a lock file or README for the image's sake; the environment is made from them.
_ALWAYS = frozenset({"pyproject.toml", "uv.lock", "requirements.txt", "README.md"})


def _patterns(folder: Path, names: tuple[str, ...]) -> list[str]:
    there = [folder / name for name in names if (folder / name).is_file()]
    found: list[str] = []
    for file in there:
        for line in file.read_text("utf-8-sig", "surrogateescape").splitlines():
            found.append(line)
            if file.name == ".dockerignore" and line.startswith("!"):
                # To Docker a folder that is kept is kept with all that is in it.
                found.append(line.rstrip("/ ") + "/**")
    return found


def _kept(root: Path, path: Path, ignoring: dict[Path, GitIgnoreSpec]) -> bool:
    slash = "/" if path.is_dir() else ""
    name = path.relative_to(root).as_posix()
    if _NEVER.match_file(name + slash):
        return False
    return name in _ALWAYS or not any(
        spec.match_file(path.relative_to(folder).as_posix() + slash)
        for folder, spec in ignoring.items()
        if path.is_relative_to(folder)
    )


def _ours(root: Path, path: Path) -> bool:
    """What the name stands for is of the project and no secret: a link may lead anywhere."""
    real, home = path.resolve(), root.resolve()
    if not real.is_relative_to(home):
        return False
    inside = real.relative_to(home)
    return not _NEVER.match_file(inside.as_posix()) and not any(_environment(home / p) for p in inside.parents[:-1])


def _environment(folder: Path) -> bool:
    """A virtual environment, whatever it is called."""
    return (folder / "pyvenv.cfg").exists()


def release(root: Path, names: tuple[str, ...], *extra: str) -> str:
    """The name of a release, seven hexadecimal digits: the same files and settings always make the same name."""
    return _digest(root, names, *extra)[:7]


def _digest(root: Path, names: tuple[str, ...], *extra: str) -> str:
    digest = hashlib.sha256()
    for text in extra:
        digest.update(f"{len(text)}:{text}".encode())
    for name in names:
        content = (root / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()
