"""What the cloud builds an image of: the project's files and a Dockerfile, packed the same way each time."""

import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from dotenv import dotenv_values

from voicedeploy import project
from voicedeploy.errors import NotReady
from voicedeploy.network import Transport
from voicedeploy.packages import own_extra
from voicedeploy.render import Artifact, render
from voicedeploy.spec import FILE, Spec

BASE = "dailyco/pipecat-base"
BASE_VERSION = "0.1.27"
"""The first that ends a session itself when its time is over; docs.pipecat.ai, 2026-08."""
DOCKERFILE, IGNORE, SETTINGS, BOT = "Dockerfile", ".dockerignore", "pcc-deploy.toml", "bot.py"

_ASIDE, _RENDERED = "voicedeploy_bot.py", "voicedeploy_entry.py"
"""In an image whose bot.py is rendered: the project's own, and the name under which the rendered one is packed."""
_MOST_BYTES = 500 * 2**20
"""Unpacked; more is not taken."""
_NOT_PACKED = frozenset({IGNORE, ".gitignore", SETTINGS, FILE})
"""They say how the bot is deployed, and not what it is: a change of them builds nothing."""
_OF_THE_BASE = re.compile(r"(app|waiting_server|pipecatcloud_system|feature_manager|shared_state|pcc_\w+)\.py")
"""Files in /app of the base image, which the project's would replace; daily-co/pipecat-cloud-images, 2026-11."""
_NEVER = (
    *(".env", ".env.*", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa", "id_ecdsa", "id_ed25519", ".netrc"),
    *(".pypirc", ".ssh", ".aws", ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", "*.pyc"),
    *("*.egg-info", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".DS_Store", *sorted(_NOT_PACKED)),
)
_ELSEWHERE = re.compile(
    r"""^\s*(-[rce]\b|--(requirement|constraint|editable)\b|\.{1,2}/|file:)    # requirements.txt
    | ^[^#\n]*\b(path|workspace)\s*=                                        # pyproject.toml
    | source\s=\s\{\s(editable|directory|path|virtual)\s=\s"(?!\.")         # uv.lock
    """,
    re.MULTILINE | re.VERBOSE,
)
"""Where the packages are made from other files of the project too, those must be in the image first."""
_PRIVATE_KEY = re.compile(rb"^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=:, -]{30}", re.MULTILINE)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_LONG_ENOUGH = 12


@dataclass(frozen=True)
class Recipe:
    """What the rendered files say beside the project."""

    agent: str
    region: str
    profile: str = "agent-1x"
    min_agents: int = 0
    max_agents: int = 4
    max_session_s: int = 1800
    secret_set: str = ""
    socket_auth: str = ""
    base: str = ""
    """"" is the vendor's base image with the project's Python."""


@dataclass(frozen=True)
class Context:
    """`packed` is a gzipped tar of `files`, whose own bytes are `size`."""

    packed: bytes = field(repr=False)
    files: tuple[str, ...]
    size: int

    @property
    def hash(self) -> str:
        """By which the platform knows a context that it has built before."""
        return hashlib.md5(self.packed, usedforsecurity=False).hexdigest()[:16]

    @property
    def told(self) -> str:
        return f"{len(self.files)} files, {_megabytes(self.size)}, {_megabytes(len(self.packed))} packed"


def artifacts(spec: Spec, recipe: Recipe) -> list[Artifact]:
    """The files beside the project's own, by which the vendor's tool makes of the same folder the same context."""
    needs = project.dependencies(spec.root)
    plain, own = spec.transport.kind is Transport.WEBSOCKET, spec.bot.entry == BOT
    made = [
        Artifact(
            DOCKERFILE,
            render(
                "pipecat-cloud/Dockerfile.j2",
                {
                    "base": recipe.base or _base(spec),
                    "needs": list(needs.files),
                    "alone": not any(_ELSEWHERE.search((spec.root / n).read_text("utf-8")) for n in needs.files),
                    "locked": needs.locked,
                    "extra": own_extra(spec.root, spec.transport.kind),
                    "aside": _ASIDE if plain and own else "",
                    "rendered": _RENDERED,
                },
            ),
        ),
        Artifact(IGNORE, render("pipecat-cloud/dockerignore.j2", {"never": _NEVER, "left_out": _left_out(spec.root)})),
        Artifact(SETTINGS, render("pipecat-cloud/pcc-deploy.toml.j2", vars(recipe))),
    ]
    if plain and own:
        values = {"entry": _ASIDE, "module": "", "plain": True}
        made.append(Artifact(_RENDERED, render("pipecat-cloud/bot.py.j2", values)))
    if not own:
        if BOT in project.files(spec.root):
            raise NotReady(
                f"the bot is in {spec.bot.entry}, and there is a {BOT} too, which the platform would run",
                hint=f"rename {BOT}, or make it the bot: `bot.entry`",
            )
        values = {"entry": spec.bot.entry, "module": PurePosixPath(spec.bot.entry).stem, "plain": plain}
        if values["module"] == "bot":
            values["module"] = "voicedeploy_bot"
        made.append(Artifact(BOT, render("pipecat-cloud/bot.py.j2", values)))
    return made


def pack(spec: Spec, made: list[Artifact]) -> Context:
    """The context of the project and of `artifacts`; the same files are the same bytes.

    `NotReady` where it would hold a secret, what the base image needs, or too much. It is looked for in what was
    packed, whatever was left out before.
    """
    own = {artifact.path: artifact for artifact in made if artifact.path not in _NOT_PACKED}
    files = [name for name in project.files(spec.root) if not _never(name)]
    for name in files:
        if _OF_THE_BASE.fullmatch(name):
            raise NotReady(f"{name}: the platform has a file of its own by that name", hint=f"rename {name}")
    names = tuple(sorted({*files, *own}))
    buffer, size = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            made_here, path = own.get(name), spec.root / name
            content = made_here.text.encode() if made_here else path.read_bytes()
            executable = bool(made_here.mode & 0o111) if made_here else os.access(path, os.X_OK)
            size += len(content)
            if size > _MOST_BYTES:
                raise NotReady(
                    f"{spec.root}: more than {_megabytes(_MOST_BYTES)} of files, which the platform does not take",
                    hint="name what the bot does not need in .dockerignore or .gitignore",
                )
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755 if executable else 0o644
            tar.addfile(info, io.BytesIO(content))
    packed = _gzipped(buffer.getvalue())
    _refuse_secrets(packed, spec.root)
    return Context(packed, names, size)


def _gzipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    # `gzip.compress` writes another head in each Python.
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


def _base(spec: Spec) -> str:
    suffix = f"-py{'.'.join(spec.bot.python.split('.')[:2])}" if spec.bot.python else ""
    return f"{BASE}:{BASE_VERSION}{suffix}"


def _left_out(root: Path) -> list[str]:
    """Patterns for what is in the folder and not in a release, where `_NEVER` does not say so."""
    kept = set(project.files(root))
    folders = {folder.as_posix() for name in kept for folder in PurePosixPath(name).parents}
    found: list[str] = []

    def walk(folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            name = path.relative_to(root).as_posix()
            if _never(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                if name in folders:
                    walk(path)
                else:
                    # A bare name would leave out folders of that name at any depth.
                    found.append(_plain(name) + ("" if "/" in name else "/*"))
            elif name not in kept:
                found.append(_plain(name))

    walk(root)
    return found


def _plain(name: str) -> str:
    """As a pattern that means this name; `?` stands for what a line of such a file cannot hold."""
    text = "".join("?" if not c.isprintable() or c in "*?[\\" else c for c in name)
    return re.sub(r"^[#!]|^\s|\s$", "?", text)


def _never(name: str) -> str:
    """The part of a path that is never packed; "" where all of it may be."""
    return next((p for p in PurePosixPath(name).parts if any(fnmatchcase(p, pattern) for pattern in _NEVER)), "")


def _refuse_secrets(packed: bytes, root: Path) -> None:
    values = {
        value.encode(): name
        for name, value in dotenv_values(root / ".env", interpolate=False).items()
        if value and len(value) >= _LONG_ENOUGH and _SECRET_NAME.search(name)
    }
    for name, content in _members(packed):
        if never := _never(name):
            raise NotReady(f"{name}: {never} would be in the image", hint="take it out of the project's folder")
        if _PRIVATE_KEY.search(content):
            raise NotReady(f"{name}: a private key would be in the image", hint=_OUT)
        for value, secret in values.items():
            if value in content:
                raise NotReady(f"{name}: the value of {secret} in .env would be in the image", hint=_OUT)


_OUT = "leave it to `voicedeploy secrets set`, and name the file in .dockerignore if it is not the bot's"


def _members(packed: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            yield member.name, file.read() if file else b""


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 // 10 else f"{size / 1024:.0f} KiB"
