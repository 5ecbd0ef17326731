"""The image of a release: what changes least lies lowest, so that a changed line of the bot pushes a few kilobytes."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicedeploy import beside, project
from voicedeploy.errors import NotReady
from voicedeploy.image import wheels
from voicedeploy.image.layer import Entry, Kept, Layer, digest_of, folder, pack
from voicedeploy.image.registry import CONFIG, LAYER, MANIFEST, Account, Reference, Registry
from voicedeploy.image.wheels import Machine
from voicedeploy.packages import own_extra
from voicedeploy.spec import Spec

FRONT_VENV = "opt/voicedeploy/venv"
BOT_VENV = "opt/bot/venv"
APP = "opt/bot/app"
FRONT_FILE = "opt/bot/front.toml"
USER = "10001:10001"
"""Nobody: in no base image a user of that number has anything."""
PYTHON = "3.12"

Tell = Callable[[str, str], None]
"""Told what was done, and how large or why."""


@dataclass(frozen=True)
class Recipe:
    """`front` is the text of the front's file; `base` an image with a Python, whose version PYTHON_VERSION says, as
    Docker's own do."""

    spec: Spec
    release: str
    front: str = field(repr=False)
    port: int
    base: Reference
    platform: str = "linux/amd64"


@dataclass(frozen=True)
class Image:
    """`layers` are ours, lowest first, above those of `base`, which stay where they are until the image is pushed."""

    base: Reference
    base_layers: tuple[dict[str, Any], ...]
    layers: tuple[Layer, ...]
    config: bytes
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        """Its name, before anybody has it: the same release makes the same."""
        return digest_of(json.dumps(self.manifest, separators=(",", ":")).encode())

    @property
    def size(self) -> int:
        """Bytes that a machine with nothing of it must fetch."""
        return sum(layer["size"] for layer in self.manifest["layers"])


def default_base(spec: Spec) -> Reference:
    return Reference.parse(f"python:{spec.bot.python or PYTHON}-slim-bookworm")


def build(
    recipe: Recipe, *, account: Account | None = None, kept: Kept | None = None, tell: Tell | None = None
) -> Image:
    """Makes the image; nothing leaves this machine. `account` is for the base image's registry.

    Raises `NotReady` for what the project or the base lacks, `StepFailed` where the base cannot be had.
    """
    kept, tell = kept or Kept.here(), tell or (lambda what, how: None)
    with Registry(recipe.base, account) as registry:
        manifest, digest = registry.manifest(recipe.platform)
        base = json.loads(registry.blob(manifest["config"]["digest"]))
    machine = Machine(recipe.platform, _python(base, recipe))
    tell("base", f"{recipe.base}, Python {machine.python}")
    own: list[tuple[str, Layer]] = []
    for name, venv, asked in (
        ("packages of the front", FRONT_VENV, (beside.FOLDER / beside.LOCK).read_text("utf-8")),
        ("packages of the bot", BOT_VENV, _asked(recipe.spec)),
    ):
        layer, note = wheels.layer(asked, venv, machine, kept)
        own.append((name, layer))
        tell(name, "; ".join(filter(None, [_megabytes(layer.size), note])))
    own.append((f"front {beside.identity()}", _front(machine, kept)))
    files = project.files(recipe.spec.root)
    app = [*folder(recipe.spec.root, APP, files), Entry(FRONT_FILE, recipe.front.encode())]
    own.append((f"release {recipe.release}", pack(app, kept.root / f"app-{recipe.spec.bot.name}.tar.gz")))
    tell("release", f"{recipe.release}, {len(files)} files, {_megabytes(own[-1][1].size)}")
    config = _config(recipe, base, own)
    return Image(
        Reference(recipe.base.registry, recipe.base.repository, digest=digest),
        tuple(manifest["layers"]),
        tuple(layer for _, layer in own),
        config,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [*map(_as_oci, manifest["layers"]), *(_described(layer) for _, layer in own)],
        },
    )


def _asked(spec: Spec) -> str:
    return wheels.requirements(spec.root, own_extra(spec.root, spec.transport.kind))


def _front(machine: Machine, kept: Kept) -> Layer:
    site = f"{FRONT_VENV}/lib/python{machine.python}/site-packages"
    key = ("front", beside.identity(), site)
    if found := kept.find(*key):
        return found

    def entries(copy: Path) -> Iterator[Entry]:
        for name in beside.files():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((beside.FOLDER / name).read_bytes())
        wheels.compiled(copy, f"/{site}", machine.python)
        yield from folder(copy, site)

    with tempfile.TemporaryDirectory(prefix="voicedeploy-image-") as copy:
        return kept.keep(entries(Path(copy)), *key)


def _python(base: dict[str, Any], recipe: Recipe) -> str:
    env = dict(pair.partition("=")[::2] for pair in base.get("config", {}).get("Env") or [])
    version = ".".join(env.get("PYTHON_VERSION", "").split(".")[:2])
    if not version:
        raise NotReady(
            f"{recipe.base} does not say which Python it has (PYTHON_VERSION)",
            hint="choose one of Docker's own, such as python:3.12-slim-bookworm",
        )
    if recipe.spec.bot.python and not recipe.spec.bot.python.startswith(version):
        raise NotReady(
            f"{recipe.base} has Python {version}, and the bot wants {recipe.spec.bot.python}",
            hint="change bot.python, or the base image",
        )
    return version


def _config(recipe: Recipe, base: dict[str, Any], own: list[tuple[str, Layer]]) -> bytes:
    inherited = base.get("config", {})
    env = [pair for pair in inherited.get("Env") or [] if not pair.startswith(("HOME=", "PYTHON"))]
    made = {
        "architecture": recipe.platform.partition("/")[2],
        "os": recipe.platform.partition("/")[0],
        "config": {
            "User": USER,
            # A home that can be written to on a root file system that cannot.
            "Env": [*env, "HOME=/tmp", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"],
            "Entrypoint": [f"/{FRONT_VENV}/bin/python", "-P", "-m", "voicedeploy.serve", f"/{FRONT_FILE}"],
            "WorkingDir": f"/{APP}",
            "ExposedPorts": {f"{recipe.port}/tcp": {}},
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": recipe.spec.bot.name,
                "org.opencontainers.image.version": recipe.release,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [*base["rootfs"]["diff_ids"], *(layer.diff_id for _, layer in own)]},
        "history": [*base.get("history", []), *({"created_by": f"voicedeploy: {name}"} for name, _ in own)],
    }  # fmt: skip
    return json.dumps(made, separators=(",", ":"), sort_keys=True).encode()


def _described(layer: Layer) -> dict[str, Any]:
    return {"mediaType": LAYER, "digest": layer.digest, "size": layer.size}


def _as_oci(layer: dict[str, Any]) -> dict[str, Any]:
    """A Docker layer by its OCI name: the bytes are the same."""
    kind = layer["mediaType"].replace("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER)
    return {"mediaType": kind, "digest": layer["digest"], "size": layer["size"]}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"
