"""The README's first command, and the bot of somebody else."""

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.lab.local import Place

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

ROOT = Path(__file__).parent.parent.parent
FOREIGN = ROOT / "tests" / "fixtures" / "foreign_bot"


@pytest.fixture
def place() -> Iterator[Place]:
    # espeak-ng takes a path of at most 159 bytes to its data, and a test's own folder is often longer.
    with tempfile.TemporaryDirectory(prefix="vdt-") as folder:
        place = Place(Path(folder), udp="21020-21027")
        yield place
        place.close()


def test_the_demo(place: Place) -> None:
    place.root.rmdir()
    demo = ["sh", str(ROOT / "scripts" / "demo")]
    started = time.monotonic()
    done = subprocess.run([*demo, str(place.root)], env=place.environment, capture_output=True, text=True, timeout=300)
    try:
        assert done.returncode == 0, done
        assert time.monotonic() - started < 180
        for words in ("first word", "voice to voice", "http://localhost:7860/"):
            assert words in done.stdout
        assert "bot" in httpx.get("http://localhost:7860/").text
    finally:
        ended = subprocess.run(
            [*demo, "--down", str(place.root)], env=place.environment, capture_output=True, text=True
        )
    assert ended.returncode == 0, ended


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_bot_nobody_here_wrote(place: Place) -> None:
    shutil.copytree(FOREIGN, place.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    before = digests(place.root)
    adopted = place.run("init", "--name", "foreign", "--json")
    assert adopted.code == 0, adopted
    assert adopted.json["files"] == ["voicedeploy.toml"]
    after = digests(place.root)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"voicedeploy.toml"}
    with (place.root / "voicedeploy.toml").open("a") as file:
        file.write(f'\n[provider.local]\nport = {place.port}\nudp_ports = "{place.udp}"\n')
    for name in adopted.json["secrets"]:
        assert place.run("secrets", "set", name, stdin="none").code == 0
    up = place.run("up", "--json", timeout=300)
    assert up.code == 0, up
    assert up.json["call"]["first_word_ms"]
    called = place.run("call", "--turns", "1", "--json")
    assert called.code == 0, called
    assert digests(place.root).items() >= before.items()
    assert place.run("down", "--yes").code == 0


def test_no_network_is_needed_once_the_packages_are_there(place: Place) -> None:
    """In a network namespace with nothing but loopback: the bot comes up, and is heard."""
    place.root.rmdir()
    assert place.run("init", str(place.root), "--name", "lonely", cwd=ROOT).code == 0
    with (place.root / "voicedeploy.toml").open("a") as file:
        file.write(f'\n[provider.local]\nport = {place.port}\nudp_ports = "{place.udp}"\n')
    assert place.run("up", "--no-call", timeout=300).code == 0
    assert place.run("down", "--yes").code == 0
    command = 'ip link set lo up && exec "$@"'
    alone = ["unshare", "--net", "sh", "-c", command, "sh", *place.argv("up", "--json")]
    done = subprocess.run(
        alone, cwd=place.root, env={**place.environment, "UV_OFFLINE": "1"}, capture_output=True, text=True
    )
    try:
        assert done.returncode == 0, done
        assert '"ok": true' in done.stdout
    finally:
        subprocess.run(place.argv("down", "--yes", "--now"), cwd=place.root, env=place.environment, capture_output=True)
