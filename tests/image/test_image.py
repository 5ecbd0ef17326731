"""Images made without an engine, in a registry on loopback: small ones here, a real one in the lab."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oci import Registry as Images
from tests.oci import serving
from voicedeploy.errors import NotReady, StepFailed
from voicedeploy.image import Account, Image, Layer, Recipe, Reference, build, push
from voicedeploy.image.layer import Entry, Kept, folder, pack
from voicedeploy.image.registry import MANIFEST, Registry
from voicedeploy.spec import load

SPEC = '[bot]\nname = "front-desk"\n'


@pytest.fixture
def registry() -> Iterator[Images]:
    with serving(Images()) as oci:
        yield oci


def put_base(
    oci: Images, name: str = "python", *, env: tuple[str, ...] = ("PYTHON_VERSION=3.11.9", "PATH=/bin")
) -> str:
    """A base image with one file in it, in an index, as Docker's own are."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo("etc/base")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"base"))
    layer = gzip.compress(plain.getvalue())
    diff_id = f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"
    config = json.dumps(
        {
            "config": {"Env": [*env]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created_by": "x"}],
        }
    ).encode()

    def described(data: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        oci.at(name).blobs[digest] = data
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": described(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [described(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        }
    ).encode()
    digest = oci.at(name).put("application/vnd.docker.distribution.manifest.v2+json", manifest)
    listed = {"digest": digest, "platform": {"os": "linux", "architecture": "amd64"}}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [listed]}
    oci.at(name).put("application/vnd.oci.image.index.v1+json", json.dumps(index).encode(), tag="slim")
    return f"{oci.address}/{name}:slim"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "bot"
    root.mkdir()
    (root / "bot.py").write_text("async def bot(runner_args):\n    pass\n")
    (root / "requirements.txt").write_text("")
    (root / ".env").write_text("OPENAI_API_KEY=secret-value\n")
    (root / "voicedeploy.toml").write_text(SPEC)
    return root


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Layers of this test's own, with an empty front: its packages are the lab's business."""
    return Kept(tmp_path / "layers")


def make(project: Path, base: str, kept: Kept, *, front: str = "# front\n") -> Image:
    recipe = Recipe(load(project / "voicedeploy.toml"), "abc1234", front, 8080, Reference.parse(base))
    return build(recipe, kept=kept)


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "lab" not in request.keywords:
        monkeypatch.setattr("voicedeploy.beside.LOCK", "voicedeploy/py.typed")


def names(layer: Layer) -> list[str]:
    with tarfile.open(layer.path) as tar:
        return tar.getnames()


# --- layers -----------------------------------------------------------------------------------------


def test_the_same_files_make_the_same_layer(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "b").mkdir(parents=True)
    (source / "b" / "run").write_text("#!/bin/sh\n")
    (source / "b" / "run").chmod(0o750)
    (source / "a.py").write_text("a = 1\n")
    (source / "link").symlink_to("a.py")
    first = pack(folder(source, "opt/x"), tmp_path / "1.tar.gz")
    for path in (source / "a.py", source / "b" / "run"):
        os.utime(path, (1, 1))
    (source / "a.py").chmod(0o600)
    second = pack(reversed(list(folder(source, "opt/x"))), tmp_path / "2.tar.gz")
    assert (first.digest, first.diff_id, first.size) == (second.digest, second.diff_id, second.size)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert f"sha256:{hashlib.sha256(first.path.read_bytes()).hexdigest()}" == first.digest
    assert f"sha256:{hashlib.sha256(gzip.decompress(first.path.read_bytes())).hexdigest()}" == first.diff_id
    with tarfile.open(first.path) as tar:
        found = {info.name: info for info in tar}
    assert [*found] == ["opt", "opt/x", "opt/x/a.py", "opt/x/b", "opt/x/b/run", "opt/x/link"]
    assert {(info.uid, info.gid, info.mtime) for info in found.values()} == {(0, 0, 0)}
    assert {name: oct(found[f"opt/x/{name}"].mode) for name in ("a.py", "b/run")} == {"a.py": "0o644", "b/run": "0o755"}
    assert found["opt/x/link"].linkname == "a.py"


def test_a_layer_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pack([Entry("x", tmp_path / "missing")], tmp_path / "out" / "x.tar.gz")
    assert list((tmp_path / "out").iterdir()) == []


def test_layers_are_kept_under_what_they_are_made_of(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    made = kept.keep([Entry("x", b"1")], "a", "b")
    assert kept.find("a", "b") == made
    assert kept.find("ab") is None
    made.path.write_bytes(b"half")
    assert kept.find("a", "b") is None
    # What nothing was made of for long goes when something new is kept.
    old = kept.keep([Entry("x", b"2")], "old")
    os.utime(next(p for p in tmp_path.glob("*.json") if old.digest in p.read_text()), (1, 1))
    new = kept.keep([Entry("x", b"3")], "new")
    assert (old.path.exists(), new.path.exists()) == (False, True)


# --- references -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "whole", "host"),
    [
        ("python:3.12-slim", "docker.io/library/python:3.12-slim", "registry-1.docker.io"),
        ("me/bot", "docker.io/me/bot:latest", "registry-1.docker.io"),
        ("registry.fly.io/bot@sha256:ab", "registry.fly.io/bot@sha256:ab", "registry.fly.io"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000"),
    ],
)
def test_names_of_images(text: str, whole: str, host: str) -> None:
    assert str(Reference.parse(text)) == whole
    assert Reference.parse(text).host == host


def test_only_this_machine_is_spoken_to_without_tls() -> None:
    assert Reference.parse("127.0.0.1:5000/x").insecure
    assert not Reference.parse("127.0.0.1.example.org/x").insecure
    assert not Reference.parse("registry.example.org:5000/x").insecure


def test_nonsense_is_no_image() -> None:
    with pytest.raises(NotReady, match="not the name of an image"):
        Reference.parse("Bot Image")


# --- images -----------------------------------------------------------------------------------------


def test_an_image_of_a_bot(registry: Images, project: Path, kept: Kept) -> None:
    image = make(project, put_base(registry), kept)
    config = json.loads(image.config)
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Entrypoint"][-3:] == ["-m", "voicedeploy.serve", "/opt/bot/front.toml"]
    assert "PATH=/bin" in config["config"]["Env"]
    assert len(config["rootfs"]["diff_ids"]) == len(image.manifest["layers"]) == 5
    app = image.layers[-1]
    assert "opt/bot/app/bot.py" in names(app)
    assert "opt/bot/front.toml" in names(app)
    assert not any(".env" in name or "secret" in name for layer in image.layers for name in names(layer))
    everything = b"".join(gzip.decompress(layer.path.read_bytes()) for layer in image.layers)
    assert b"secret-value" not in everything
    # The same release makes the same image, down to its digest.
    assert make(project, f"{registry.address}/python:slim", kept).digest == image.digest


def test_a_push_and_one_changed_line(registry: Images, project: Path, kept: Kept) -> None:
    base = put_base(registry)
    to = Reference.parse(f"{registry.address}/front-desk:r1")
    first = push(make(project, base, kept), to, kept=kept)
    assert first.name == f"{registry.address}/front-desk@{first.digest}"
    # The registry has checked that each blob is there and is what it is named by; base layers were mounted, not sent.
    assert registry.uploaded == first.uploaded
    again = push(make(project, base, kept), to, kept=kept)
    assert (again.digest, again.uploaded) == (first.digest, 0)
    (project / "bot.py").write_text("async def bot(runner_args):\n    return\n")
    changed = push(make(project, base, kept), to, kept=kept)
    assert changed.digest != first.digest
    assert 0 < changed.uploaded < 1_000_000
    with Registry(Reference.parse(f"{registry.address}/front-desk:r1")) as there:
        manifest, digest = there.manifest("linux/amd64")
    assert digest == changed.digest
    assert manifest["mediaType"] == MANIFEST


def only_x(name: str, password: str) -> bool:
    return (name, password) == ("x", "token")


def test_a_base_from_another_registry_is_carried_over(registry: Images, project: Path, kept: Kept) -> None:
    with serving(Images(only_x, {"front-desk"}.__contains__)) as other:
        base = put_base(registry)
        image = make(project, base, kept)
        account = Account("x", "token")
        pushed = push(image, Reference.parse(f"{other.address}/front-desk:r1"), account, kept=kept)
        assert {layer["digest"] for layer in image.base_layers} <= other.at("front-desk").blobs.keys()
        assert pushed.digest == image.digest
        assert "token" not in repr(account)
        for wrong, said in (
            ((f"{other.address}/front-desk:r1", Account("x", "guess")), "no access as x"),
            ((f"{other.address}/front-desk:r1", None), "no access without an account"),
            ((f"{other.address}/nobody:r1", account), "no such repository"),
        ):
            with pytest.raises(StepFailed, match=said) as error:
                push(image, Reference.parse(wrong[0]), wrong[1], kept=kept)
            assert error.value.hint
            assert "guess" not in f"{error.value.message}{error.value.hint}"


def test_a_registry_that_sells_tokens(project: Path, kept: Kept) -> None:
    with serving(Images(only_x, sells_tokens=True)) as oci:
        base = put_base(oci)
        account = Account("x", "token")
        recipe = Recipe(load(project / "voicedeploy.toml"), "abc1234", "", 8080, Reference.parse(base))
        image = build(recipe, account=account, kept=kept)
        push(image, Reference.parse(f"{oci.address}/bot:1"), account, kept=kept)
        with pytest.raises(StepFailed, match="no access as x"):
            build(recipe, account=Account("x", "guess"), kept=kept)


def test_a_base_that_will_not_do(registry: Images, project: Path, kept: Kept) -> None:
    with pytest.raises(NotReady, match="does not say which Python"):
        make(project, put_base(registry, "bare", env=()), kept)
    (project / "voicedeploy.toml").write_text('[bot]\nname = "front-desk"\npython = "3.13"\n')
    with pytest.raises(NotReady, match=r"Python 3\.11, and the bot wants 3\.13"):
        make(project, put_base(registry), kept)
    with pytest.raises(StepFailed, match="no such repository or image"):
        make(project, f"{registry.address}/python:nothing", kept)
    with pytest.raises(StepFailed, match="cannot be reached"):
        make(project, "127.0.0.1:1/python:slim", kept)


def test_a_damaged_layer_is_noticed(registry: Images, project: Path, kept: Kept) -> None:
    image = make(project, put_base(registry), kept)
    blobs = registry.at("python").blobs
    blobs.update(dict.fromkeys(blobs, b"damaged"))
    with serving(Images()) as other, pytest.raises(StepFailed, match="came damaged"):
        push(image, Reference.parse(f"{other.address}/front-desk:r1"), kept=kept)
    assert not list(kept.root.glob("base/*"))
