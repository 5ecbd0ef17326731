"""Images out of the stand-in's own registry, unpacked as a runtime does it."""

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

from tests.oci import Registry, Repository
from tests.providers.fly.standin.images import Image, parts

_GONE, _ALL_GONE = ".wh.", ".wh..wh..opq"


class Pulling:
    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._pulled: dict[str, Image] = {}
        self._one_at_a_time = threading.Lock()

    def __call__(self, reference: str) -> Image | None:
        """None where the registry has no such image."""
        _, name, tag, digest = parts(reference)
        repository = self._registry.repositories.get(name)
        if repository is None:
            return None
        digest = digest or repository.tags.get(tag or "latest", "")
        if digest not in repository.manifests:
            return None
        with self._one_at_a_time:
            if digest not in self._pulled:
                self._pulled[digest] = self._unpack(repository, digest)
            return self._pulled[digest]

    def _unpack(self, repository: Repository, digest: str) -> Image:
        manifest = json.loads(repository.manifests[digest][1])
        root = self._folder / digest.replace(":", "-")
        root.mkdir(parents=True)
        for layer in manifest["layers"]:
            _apply(repository.blobs[layer["digest"]], root)
        for name in ("dev", "proc", "sys", "tmp", "etc"):
            (root / name).mkdir(exist_ok=True)
        (root / "tmp").chmod(0o1777)
        config = json.loads(repository.blobs[manifest["config"]["digest"]]).get("config", {})
        user, _, group = (config.get("User") or "0").partition(":")
        return Image(
            argv=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
            cwd=Path(config.get("WorkingDir") or "/"),
            env=dict(pair.split("=", 1) for pair in config.get("Env") or ()),
            root=root,
            user=int(user),
            group=int(group or user),
        )


def _apply(layer: bytes, root: Path) -> None:
    """One layer over those below it: first what it takes away, then what it brings."""
    data = gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            at = root / member.name
            if at.name == _ALL_GONE:
                for path in at.parent.glob("*"):
                    _remove(path)
            elif at.name.startswith(_GONE):
                _remove(at.with_name(at.name.removeprefix(_GONE)))
    # Thousands of files: a tenth of the time that Python takes.
    subprocess.run(["tar", "--extract", "--exclude", f"{_GONE}*", "--directory", root], input=data, check=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
