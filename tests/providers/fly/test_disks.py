"""A machine's file system is its own: its image's, its files, and what it writes."""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from voicedeploy_providers.fly.api import File, Machine

from tests.oci import Repository
from tests.providers.fly.house import House, config
from tests.providers.fly.standin.disk import isolation

pytestmark = pytest.mark.skipif(isolation() != "disk", reason="needs root and overlayfs")


def said(house: House, machine: Machine, script: str) -> str:
    ran = house.app.machines.run(machine.id, ["sh", "-c", script])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout.strip()


def test_files_are_where_they_were_asked_for(house: House) -> None:
    house.app.secrets.update({"KEYFILE": base64.b64encode(b"sesame").decode()})
    settings = File(guest_path="/opt/standin/front.toml", raw_value=base64.b64encode(b"a = 1").decode(), mode=0o640)
    key = File(guest_path="/opt/standin/key", secret_name="KEYFILE", mode=0o600)  # noqa: S106
    made = house.machine(files=(settings, key))
    assert said(house, made, "cat /opt/standin/front.toml; stat -c ' %a' /opt/standin/front.toml") == "a = 1 640"
    assert said(house, made, "cat /opt/standin/key; stat -c ' %a' /opt/standin/key") == "sesame 600"
    assert not Path("/opt/standin").exists()


def test_what_it_writes_is_its_own_and_gone_with_the_next_start(house: House) -> None:
    first, second = house.machine("bot-1"), house.machine("bot-2")
    said(house, first, "mkdir -p /tmp/standin-run && echo mine > /tmp/standin-run/it")
    assert said(house, first, "cat /tmp/standin-run/it") == "mine"
    assert said(house, second, "ls /tmp/standin-run 2>/dev/null || echo none") == "none"
    assert not Path("/tmp/standin-run").exists()  # noqa: S108
    house.app.machines.stop(first.id)
    house.app.machines.wait(first.id, "stopped")
    house.app.machines.start(first.id)
    house.app.machines.wait(first.id, "started")
    assert said(house, first, "ls /tmp/standin-run 2>/dev/null || echo none") == "none"


def layer(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def loadable(program: Path) -> list[tuple[str, bytes]]:
    """A program with the libraries that it loads."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout.split()
    return [(path.lstrip("/"), Path(path).read_bytes()) for path in (str(program), *listed) if path.startswith("/")]


def put(repository: Repository, content: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    repository.blobs[digest] = content
    return {"digest": digest, "size": len(content), "mediaType": "application/octet-stream"}


def test_an_image_of_the_registry_runs_as_what_it_is(house: House) -> None:
    shell = Path("/bin/sh").resolve()
    script = b"echo $COLOUR $(pwd) $(echo /* /old/*); [ -w /etc/hosts ] && echo root; exec 3>/tmp/written && echo wrote"
    lower = layer(("srv/hello.sh", b"echo never"), ("old/one", b""), ("gone", b""), ("gone2/file", b""))
    upper = layer(
        ("srv/hello.sh", script), ("old/two", b""), ("old/.wh..wh..opq", b""), (".wh.gone", b""), (".wh.gone2", b"")
    )
    repository = house.standin.registry.repositories["voice-bot"] = Repository()
    settings = {
        "Entrypoint": [str(shell)],
        "Cmd": ["/srv/hello.sh"],
        "Env": ["COLOUR=blue", "PATH=/bin"],
        "WorkingDir": "/srv",
        "User": "65532:65532",
    }
    parts = [put(repository, blob) for blob in (layer(*loadable(shell)), lower, upper)]
    manifest = json.dumps(
        {"config": put(repository, json.dumps({"config": settings}).encode()), "layers": parts}
    ).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    repository.manifests[digest] = ("application/vnd.oci.image.manifest.v1+json", manifest)
    reference = f"{house.standin.places.registry_host}/voice-bot@{digest}"
    made = house.app.machines.create("bot-1", config(image=reference), region="fra")
    assert house.app.machines.wait(made.id, "stopped", "failed", timeout_s=10) == "stopped"
    first, *more = [line.message for line in house.app.logs.page(machine=made.id).lines]
    colour, where, *top = first.split()
    assert (colour, where, more) == ("blue", "/srv", ["wrote"])
    assert {"/srv", "/tmp", "/proc", "/old/two"} <= set(top)  # noqa: S108
    assert not {"/home", "/boot", "/gone", "/gone2", "/old/one"} & set(top)
    assert house.now(made).image_ref.digest == digest
