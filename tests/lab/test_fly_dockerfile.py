"""The Dockerfile that `render` writes, built by buildah, pushed, and heard on the stand-in of Fly."""

import subprocess
from pathlib import Path

import pytest

import voicedeploy
from tests.lab.base import put
from tests.lab.test_fly_image import NAME, Laptop
from tests.oci import Registry, serving
from tests.providers.fly.standin import Standin
from voicedeploy.image.layer import Layer
from voicedeploy.init.make import make
from voicedeploy.network import Transport

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def buildah(storage: Path, *words: str, cwd: Path) -> None:
    where = ["--storage-driver", "vfs", "--root", str(storage / "root"), "--runroot", str(storage / "run")]
    done = subprocess.run(["buildah", *where, *words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr[-3000:])


def test_the_dockerfile_makes_an_image_that_is_heard(tmp_path: Path, fly: Standin, cache: Path, base: Layer) -> None:
    laptop = Laptop(tmp_path, fly, cache)
    laptop.root.rmdir()
    make(laptop.root, name=NAME, transport=Transport.WEBSOCKET, provider="fly")
    (laptop.root / ".env").write_text("A_KEY=not-for-the-image\n")
    spec, here, storage = laptop.root / "voicedeploy.toml", tmp_path / "rendered", tmp_path / "storage"
    plain = spec.read_text()
    try:
        with serving(Registry()) as oci:
            below = put(oci, base)
            spec.write_text(f'{plain}\n[provider.fly]\nbase = "{below}"\nregion = "fra"\n')
            assert laptop.run("render", "-o", str(here)).code == 0
            packages, settings = Path.home() / ".cache" / "uv", tmp_path / "uv"
            settings.mkdir()
            (settings / "uv.toml").write_text("system-certs = true\n")
            buildah(
                storage, "build", "--isolation", "chroot", "--tls-verify=false", "--quiet",
                "--file", str(here / "Dockerfile"), "--ignorefile", str(here / "Dockerfile.dockerignore"),
                "--build-context", f"front={voicedeploy.__path__[0]}", "--build-arg", f"UV={below}",
                # What this machine has of packages, and whom it trusts.
                "--volume", f"{packages}:/root/.cache/uv", "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro",
                "--volume", f"{settings}:/etc/uv:ro",
                "--tag", NAME, ".", cwd=laptop.root,
            )  # fmt: skip
        # Setting a secret makes the app, without which its registry takes nothing.
        assert laptop.run("secrets", "set", "A_KEY", stdin="a-value\n").code == 0
        image = f"{fly.places.registry_host}/{NAME}:built"
        login = ["--creds", f"x:{fly.token}", "--tls-verify=false", "--compression-level", "1"]
        buildah(storage, "push", "--quiet", *login, NAME, f"docker://{image}", cwd=laptop.root)
    finally:
        subprocess.run(["rm", "-rf", str(storage)], check=True)
    spec.write_text(f'{plain}\n[provider.fly]\nimage = "{image}"\nregion = "fra"\n')
    up = laptop.run("up", "--yes", "--json", timeout=300)
    assert up.code == 0, up
    assert up.json["call"]["ok"]
    blobs = fly.registry.repositories[NAME].blobs.values()
    print(f"{sum(map(len, blobs)) / 1e6:.1f} MB, first up {up.seconds:.0f} s")  # noqa: T201
    ran = fly.images.find(next(fly.app(NAME).alive()).config["image"])
    assert ran and ran.root
    root = ran.root
    assert (root / "opt/bot/app/bot.py").exists() and not (root / "opt/bot/app/.env").exists()
    laptop.close()
