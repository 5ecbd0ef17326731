import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from voicedeploy import packages, project, spec, transports
from voicedeploy.errors import UsageError
from voicedeploy.init import Services, is_new, make
from voicedeploy.init.make import artifacts_of
from voicedeploy.init.source import read
from voicedeploy.network import Transport
from voicedeploy.render import templates

ROOT = Path(__file__).parent.parent.parent
SETS = pytest.mark.parametrize("services", list(Services))


@pytest.fixture
def no_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv that may not ask anybody and remembers nothing."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


def written(root: Path, services: Services, transport: Transport = Transport.WEBRTC) -> Path:
    for artifact in artifacts_of("front-desk", transport, services, "local"):
        (root / artifact.path).write_text(artifact.text)
    return root


@SETS
@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("provider", ["local", "vm"])
def test_the_spec_is_valid(tmp_path: Path, services: Services, transport: Transport, provider: str) -> None:
    text = next(a.text for a in artifacts_of("front-desk", transport, services, provider) if a.path == spec.FILE)
    (tmp_path / spec.FILE).write_text(text)
    loaded = spec.load(tmp_path / spec.FILE)
    assert (loaded.bot.name, loaded.bot.provider, loaded.transport.kind) == ("front-desk", provider, transport)
    assert loaded.pool.max == spec.Pool().max and loaded.session.memory == spec.Session().memory
    assert bool(loaded.bot.secrets) == (services is Services.CLOUD)


def test_what_is_commented_out_in_the_spec_is_valid_too(tmp_path: Path) -> None:
    text = next(a.text for a in artifacts_of("x", Transport.WEBRTC, Services.OFFLINE, "local") if a.path == spec.FILE)
    uncommented = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", text)
    assert uncommented.count("\n[") > text.count("\n[")
    (tmp_path / spec.FILE).write_text(uncommented)
    loaded = spec.load(tmp_path / spec.FILE)
    assert loaded.access.public and loaded.transport.turn and loaded.options("vm") == {"host": "homelab"}
    assert loaded.bot.entry == spec.Bot(name="x").entry
    assert loaded.session.isolation == spec.Session().isolation


@SETS
def test_the_code_is_clean(tmp_path: Path, services: Services) -> None:
    root = written(tmp_path, services)
    ruff = str(Path(sys.executable).with_name("ruff"))
    rules = ["--select", "E,F,W,I,UP,B,C4,PIE,RET,ASYNC"]
    for command in (["check", *rules], ["format", "--diff"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", "--line-length=120", "--target-version=py311", "."],
            cwd=root,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@SETS
def test_the_bot_serves_every_transport(tmp_path: Path, services: Services) -> None:
    root = written(tmp_path, services)
    source = read(root, root / "bot.py")
    assert source.transports == tuple(Transport)
    assert set(source.secrets) >= {"OPENAI_API_KEY"} if services is Services.CLOUD else not source.secrets


@SETS
def test_params_of_other_transports_are_imported_only_when_used(tmp_path: Path, services: Services) -> None:
    tree = ast.parse((written(tmp_path, services) / "bot.py").read_text())
    imported = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imported and not [name for name in imported if name and re.search("daily|livekit|fastapi|serializers", name)]


@SETS
def test_secrets_and_environments_stay_out(tmp_path: Path, services: Services) -> None:
    root = written(tmp_path, services)
    for name in (".env", ".env.production", "tls.key", ".venv/pyvenv.cfg", ".git/config", "__pycache__/bot.pyc"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    files = set(project.files(root))
    assert files >= {"bot.py", "services.py", "pyproject.toml", "voicedeploy.toml", ".env.example"}
    assert not [name for name in files if re.search(r"^\.env(?!\.example)|\.key$|\.venv|\.git/|pyc$", name)]
    ignored = (root / ".dockerignore").read_text().splitlines()
    assert {"**/.env", "**/.env.*", ".git", "**/.venv"} <= set(ignored)


@SETS
def test_the_lock_covers_what_the_project_asks_for(services: Services) -> None:
    pinned = {
        requirement.name
        for line in (templates() / "bot" / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for requirement in [Requirement(line)]
        if re.fullmatch(r"==[\w.]+", str(requirement.specifier))
    }
    assert len(pinned) > 50
    text = next(a.text for a in artifacts_of("x", Transport.DAILY, services, "local") if a.path == "pyproject.toml")
    document = tomllib.loads(text)
    ways = document["project"]["optional-dependencies"]
    lines = [*document["project"]["dependencies"], *document["dependency-groups"]["dev"]]
    lines += [line for way in ways.values() for line in way]
    assert {Requirement(line).name for line in lines} <= pinned
    assert list(ways) == list(Transport)
    for kind in Transport:
        assert set(transports.about(kind).packages) <= pinned
    assert "://" not in (templates() / "bot" / "constraints.txt").read_text()


@SETS
def test_the_packages_are_the_same_whatever_the_transport_is(services: Services) -> None:
    def written(transport: Transport) -> list[str]:
        return [
            a.text for a in artifacts_of("x", transport, services, "local") if a.path in ("pyproject.toml", "bot.py")
        ]

    assert len({tuple(written(transport)) for transport in Transport}) == 1


@pytest.mark.parametrize("transport", list(Transport))
def test_the_secrets_of_the_transport_are_named(transport: Transport) -> None:
    artifacts = artifacts_of("x", transport, Services.OFFLINE, "local")
    text = next(a.text for a in artifacts if a.path == ".env.example")
    wanted = [line.removesuffix("=") for line in text.splitlines() if re.fullmatch("[A-Z_]+=", line)]
    assert tuple(wanted) == transports.about(transport).secrets
    for other in Transport:
        assert all(f"{name}=" in text for name in transports.about(other).secrets)


@pytest.mark.usefixtures("no_packages")
def test_without_packages_the_project_is_there_all_the_same(tmp_path: Path) -> None:
    root = tmp_path / "front-desk"
    made = make(root)
    assert not made.locked and made.unlocked
    assert set(made.files) == {path.relative_to(root).as_posix() for path in root.rglob("*")}
    assert "uv.lock" not in made.files
    assert spec.load(root / spec.FILE).bot.name == "front-desk"


@pytest.mark.usefixtures("no_packages")
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        make(tmp_path, name="front-desk")
    assert (tmp_path / "bot.py").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["bot.py"]
    with pytest.raises(UsageError, match="is a file"):
        make(tmp_path / "bot.py", name="front-desk")


@pytest.mark.usefixtures("no_packages")
def test_a_wrong_name_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        make(tmp_path / "x", name="Front Desk")
    assert not (tmp_path / "x").exists()


def test_new_folders(tmp_path: Path) -> None:
    assert is_new(tmp_path) and is_new(tmp_path / "missing")
    (tmp_path / ".git").mkdir()
    assert is_new(tmp_path)
    (tmp_path / ".env").write_text("")
    assert not is_new(tmp_path)


@pytest.mark.lab
@SETS
def test_the_lock_holds_the_tested_versions(tmp_path: Path, services: Services) -> None:
    made = make(tmp_path / "front-desk", services=services)
    assert made.locked, made.unlocked
    lock = tomllib.loads((made.root / "uv.lock").read_text())
    constraints: dict[str, set[str]] = {}
    for line in (templates() / "bot" / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            constraints.setdefault(requirement.name, set()).add(str(requirement.specifier)[2:])
    for kind in Transport:
        assert packages.lacking(made.root, project.dependencies(made.root), kind) == ((), "")
    for package in lock["package"]:
        if package["name"] != "front-desk":
            assert package["version"] in constraints[package["name"]]
    assert "constraint" not in (made.root / "uv.lock").read_text()
    assert "constraint" not in (made.root / "pyproject.toml").read_text()


def test_a_path_that_is_too_long_for_the_voice_is_said(tmp_path: Path) -> None:
    """espeak-ng itself would end the process there, without a word that helps."""
    root = written(tmp_path, Services.OFFLINE)
    spec_of = find_spec("espeakng_loader")
    assert spec_of and spec_of.origin
    packages = tmp_path / ("long" * 30) / ("er" * 40)
    packages.mkdir(parents=True)
    (packages / "espeakng_loader").symlink_to(Path(spec_of.origin).parent)
    done = subprocess.run(
        [sys.executable, "-c", "import tts"], cwd=root, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{packages}:{root}"},
    )  # fmt: skip
    said = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert "159 bytes" in said and "shorter folder" in said and str(packages) in said
