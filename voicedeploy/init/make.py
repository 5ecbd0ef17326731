"""A new bot project, from `templates/bot`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from voicedeploy import transports
from voicedeploy.errors import UsageError
from voicedeploy.init import names
from voicedeploy.network import Transport
from voicedeploy.render import Artifact, render, templates

_LOCK_TIMEOUT_S = 180
_PIPECAT = "1.14.*"
_COMMON = {
    "bot.py": "bot.py.j2",
    "voicedeploy.toml": "voicedeploy.toml.j2",
    "pyproject.toml": "pyproject.toml.j2",
    ".env.example": "env.example.j2",
    ".gitignore": "gitignore.j2",
    ".dockerignore": "dockerignore.j2",
    "README.md": "README.md.j2",
}


class Services(StrEnum):
    """Who listens, thinks and speaks: all on this machine, or Deepgram, an OpenAI-compatible model and Cartesia."""

    OFFLINE = "offline"
    CLOUD = "cloud"


_OWN = {
    Services.OFFLINE: ("services.py", "stt.py", "llm.py", "tts.py", "turns.py", "conversation.py", "grammar.jsgf"),
    Services.CLOUD: ("services.py",),
}
_EXTRAS = {Services.OFFLINE: (), Services.CLOUD: ("cartesia", "deepgram", "openai")}
_PACKAGES = {Services.OFFLINE: ("pocketsphinx==5.1.*", "espeakng-loader==0.2.*"), Services.CLOUD: ()}
_SECRETS = {Services.OFFLINE: (), Services.CLOUD: ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")}


@dataclass(frozen=True)
class Made:
    """`files` are relative to `root`; `unlocked` says why there is no uv.lock, and is empty when there is one."""

    root: Path
    name: str
    transport: Transport
    services: Services
    files: tuple[str, ...]
    secrets: tuple[str, ...]
    unlocked: str

    @property
    def locked(self) -> bool:
        return not self.unlocked


def is_new(directory: Path) -> bool:
    """Whether `directory` is missing, or empty but for the history of git: a place for a new bot."""
    if not directory.exists():
        return True
    return directory.is_dir() and not [entry for entry in directory.iterdir() if entry.name != ".git"]


def make(
    directory: Path,
    *,
    name: str | None = None,
    transport: Transport = Transport.WEBRTC,
    services: Services = Services.OFFLINE,
    provider: str = "local",
) -> Made:
    """Write a new project to `directory`, which must be new: nothing is ever overwritten.

    Its packages are locked by uv to the versions that this release of voicedeploy was tested with. That asks the
    package index; without it the project is there all the same, and `Made.unlocked` says what went wrong.
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory}: is a file", hint="name a folder")
    if not is_new(directory):
        raise UsageError(f"{directory}: is not empty", hint="name a new folder; a bot that is in it already is adopted")
    chosen = names.checked(name) if name is not None else names.of_folder(directory)
    artifacts = artifacts_of(chosen, transport, services, provider)
    root = directory.resolve()
    for artifact in artifacts:
        path = root / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(artifact.text)
    unlocked = _lock(root)
    written = [artifact.path for artifact in artifacts] + ([] if unlocked else ["uv.lock"])
    secrets = (*_SECRETS[services], *transports.about(transport).secrets)
    return Made(root, chosen, transport, services, tuple(written), secrets, unlocked)


def artifacts_of(name: str, transport: Transport, services: Services, provider: str) -> list[Artifact]:
    """The files of a project, without its lock."""
    extras = f"[{','.join(_EXTRAS[services])}]" if _EXTRAS[services] else ""
    values: Mapping[str, Any] = {
        "name": name,
        "spoken_name": names.spoken(name),
        "entry": "bot.py",
        "transport": transport.value,
        "serves": [kind.value for kind in Transport],
        "provider": provider,
        "services": services.value,
        "secrets": _SECRETS[services],
        "dependencies": [f"pipecat-ai{extras}=={_PIPECAT}", *_PACKAGES[services]],
        "ways": {kind.value: transports.about(kind) for kind in Transport},
        "development": ["pipecat-ai[runner,webrtc,websocket]"],
    }
    sources = _COMMON | {path: f"{services.value}/{path}.j2" for path in _OWN[services]}
    return [Artifact(path, render(f"bot/{template}", values)) for path, template in sources.items()]


def _lock(root: Path) -> str:
    """Write uv.lock with the versions of constraints.txt; "" or why it could not be done.

    First with them, in a folder aside, so that neither the lock nor pyproject.toml mentions them afterwards: uv keeps
    the versions that a lock already has.
    """
    constraints = [
        line
        for line in (templates() / "bot" / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    pyproject = (root / "pyproject.toml").read_text("utf-8")
    with tempfile.TemporaryDirectory(prefix="voicedeploy-lock-") as folder:
        aside = Path(folder)
        listed = "".join(f"  {spec_line!r},\n" for spec_line in constraints)
        for text in (f"{pyproject}constraint-dependencies = [\n{listed}]\n", pyproject):
            (aside / "pyproject.toml").write_text(text, "utf-8")
            if fault := _uv_lock(aside):
                return fault
        (root / "uv.lock").write_bytes((aside / "uv.lock").read_bytes())
    return ""


def _uv_lock(folder: Path) -> str:
    import uv

    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(
            [uv.find_uv_bin(), "lock", "--no-progress", "--color", "never", "--python", sys.executable],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LOCK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = [line.strip(" ×╰─▶├│") for line in done.stderr.splitlines()]
    said = [line for line in lines if line and not line.startswith(("Using CPython", "warning:"))]
    return said[0] if said else f"uv ended with {done.returncode}"
