"""What an agent runs: a folder that stands for /app of an image, and the program in it."""

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import forked

_PROGRAM = Path(__file__).parent / "base" / "app.py"


@dataclass(frozen=True)
class Image:
    """Runs in this checkout's environment, in place of its own. `app.py` in the folder replaces the base image's."""

    app: Path
    env: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "arm64"

    @property
    def argv(self) -> tuple[str, ...]:
        own = self.app / "app.py"
        return tuple(forked.bot(own if own.is_file() else _PROGRAM))


class CannotBuild(Exception): ...


def build(context: Path, dockerfile: str, app: Path, log: list[str]) -> Image:
    """Follows a Dockerfile on the vendor's base image. What it runs is looked at and not run: the packages are here."""
    file = context / dockerfile
    if not file.is_file():
        raise CannotBuild(f"failed to read dockerfile: open {dockerfile}: no such file or directory")
    env: dict[str, str] = {}
    app.mkdir(parents=True)
    based = False
    for number, line in enumerate(_lines(file.read_text("utf-8")), 1):
        log.append(f"#{number} {line}")
        word, _, rest = line.partition(" ")
        match word.upper():
            case "FROM":
                if not rest.strip().startswith("dailyco/pipecat-base:"):
                    raise CannotBuild(f"{rest}: not found")
                based = True
            case "WORKDIR" if rest.strip() != "/app":
                raise CannotBuild(f"the stand-in knows no other folder than /app: {line}")
            case "ENV":
                env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "COPY":
                _copy(context, app, shlex.split(rest))
            case "RUN":
                _run(app, rest)
            case "WORKDIR" | "ARG" | "LABEL":
                pass
            case _:
                raise CannotBuild(f"the stand-in cannot {word}")
    if not based:
        raise CannotBuild("no build stage in current context")
    return Image(app, {k: v for k, v in env.items() if not k.startswith("UV_")})


def _lines(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


def _copy(context: Path, app: Path, names: list[str]) -> None:
    *sources, to = [name for name in names if not name.startswith("--")]
    for source in sources:
        path = context / source
        there = app / to.removeprefix("/app").lstrip("/")
        if path.is_dir():
            shutil.copytree(path, there, dirs_exist_ok=True)
        elif path.is_file():
            there = there / path.name if to.endswith(("/", ".")) else there
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)
        else:
            raise CannotBuild(f"failed to compute cache key: {source!r}: not found")


def _run(app: Path, command: str) -> None:
    """What would fail for want of a file fails here too."""
    words = command.split()
    if words[:2] == ["uv", "sync"]:
        needed = ["pyproject.toml", *(["uv.lock"] if {"--frozen", "--locked"} & {*words} else [])]
    else:
        needed = [words[words.index("-r") + 1]] if "-r" in words else []
    for name in needed:
        if not (app / name).is_file():
            raise CannotBuild(f"process {command!r} did not complete successfully: exit code: 2 ({name} is not there)")
