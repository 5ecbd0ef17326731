"""The image that others are built on: the lab's Debian, with Python and uv where their own images have them."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from tests.lab.hosts import image
from tests.oci import Registry
from voicedeploy.image.layer import Entry, Layer, pack

SKIPPED = ("usr/share", "var", "boot", "dev", "proc", "sys", "run", "tmp", "root", "home")


@pytest.fixture(scope="session")
def base(cache: Path) -> Layer:
    """Packed once for all."""
    return pack(_files(image.root()), cache / "base.tar.gz")


def put(oci: Registry, layer: Layer) -> str:
    """The image's name, in this registry."""
    env = ["PYTHON_VERSION=3.11.2", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    config = json.dumps({"config": {"Env": env}, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}).encode()
    described = []
    for data, kind in ((config, "config.v1+json"), (layer.path.read_bytes(), "layer.v1.tar+gzip")):
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        oci.at("debian").blobs[digest] = data
        described.append({"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(data)})
    manifest = {"schemaVersion": 2, "config": described[0], "layers": described[1:]}
    oci.at("debian").put("application/vnd.oci.image.manifest.v1+json", json.dumps(manifest).encode(), tag="12")
    return f"{oci.address}/debian:12"


def _files(root: Path) -> Iterator[Entry]:
    yield Entry("usr/local/bin/python3.11", link="/usr/bin/python3.11")
    yield Entry("uv", Path(uv.find_uv_bin()), executable=True)
    for here, folders, names in os.walk(root):
        inside = Path(here).relative_to(root)
        for name in [*names, *folders]:
            path, at = Path(here) / name, (inside / name).as_posix()
            if path.is_symlink():
                yield Entry(at, link=os.readlink(path))  # noqa: PTH115
            elif path.is_file():
                yield Entry(at, path, executable=os.access(path, os.X_OK))
        folders[:] = [
            f for f in folders if (inside / f).as_posix() not in SKIPPED and not (Path(here) / f).is_symlink()
        ]
