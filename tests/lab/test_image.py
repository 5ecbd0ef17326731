"""The image of the offline bot, made here without a container engine, fetched from a registry and run: no network, a
root file system that cannot be written to, and a user who owns nothing. It must be heard."""

import gzip
import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.base import put
from tests.oci import Registry, serving
from voicedeploy.front import Seat, config
from voicedeploy.image import Recipe, Reference, build, push
from voicedeploy.image.layer import Kept, Layer
from voicedeploy.init.make import make
from voicedeploy.spec import load

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def unpack(oci: Registry, repository: str, tag: str, to: Path) -> dict[str, Any]:
    """As a runtime does it: layer upon layer, in the order of the manifest. The image's configuration."""
    there = oci.at(repository)
    manifest = json.loads(there.manifests[there.tags[tag]][1])
    diff_ids = []
    for layer in manifest["layers"]:
        data = gzip.decompress(there.blobs[layer["digest"]])
        diff_ids.append(f"sha256:{hashlib.sha256(data).hexdigest()}")
        subprocess.run(["tar", "--extract", "--directory", to], input=data, check=True)
    parsed: dict[str, Any] = json.loads(there.blobs[manifest["config"]["digest"]])
    assert parsed["rootfs"]["diff_ids"] == diff_ids
    return parsed


START = """
ip link set lo up && ip addr add 127.0.0.2/8 dev lo
mkdir -p /tmp/front && printf '%s' {key} > /tmp/key && chmod 600 /tmp/key && chown {user} /tmp/key /tmp/front
touch /usr/written 2>/dev/null && echo WRITABLE
exec setpriv --reuid {uid} --regid {gid} --clear-groups -- env -i {env} {program}
"""


def test_the_image_runs_without_network_and_is_heard(tmp_path: Path, cache: Path, base: Layer) -> None:
    project = make(tmp_path / "bot", name="front-desk").root
    spec = load(project / "voicedeploy.toml")
    seat = Seat(
        project="/opt/bot/app", python="/opt/bot/venv/bin/python", secrets="", key="/tmp/key",  # noqa: S108
        socket="/tmp/front/front.sock", host="127.0.0.1", port=8080, udp_ports="20000-20007",  # noqa: S108
    )  # fmt: skip
    with serving(Registry()) as oci:
        recipe = Recipe(spec, "abc1234", config(spec, "abc1234", seat), 8080, Reference.parse(put(oci, base)))
        said: list[str] = []
        kept = Kept(cache / "voicedeploy" / "layers")
        image = build(recipe, kept=kept, tell=lambda what, how: said.append(f"{what}: {how}"))
        pushed = push(image, Reference.parse(f"{oci.address}/front-desk:abc1234"), kept=kept)
        print(*said, f"pushed {pushed.uploaded / 1e6:.1f} MB", sep="\n")  # noqa: T201
        # One changed line: less than a megabyte.
        bot = project / "bot.py"
        bot.write_text(bot.read_text().replace("A voice bot.", "The voice bot."))
        changed = push(build(recipe, kept=kept), Reference.parse(f"{oci.address}/front-desk:abc1234"), kept=kept)
        assert 0 < changed.uploaded < 1_000_000
        root = tmp_path / "root"
        root.mkdir()
        settings = unpack(oci, "front-desk", "abc1234", root)["config"]
    for name in ("dev", "proc", "sys", "run", "tmp", "var", "root", "etc"):
        (root / name).mkdir(exist_ok=True)
    uid, _, gid = settings["User"].partition(":")
    script = START.format(
        key="k" * 40, user=settings["User"], uid=uid, gid=gid,
        env=" ".join(f"'{pair}'" for pair in settings["Env"]), program=" ".join(settings["Entrypoint"]),
    )  # fmt: skip
    container = subprocess.Popen(
        ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--read-only", "--private-network", "--as-pid2",
         "--tmpfs=/tmp:mode=1777", "--directory", str(root), "/bin/sh", "-c", script],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        inside = _pid_inside(container.pid, settings["Entrypoint"][-1])
        heard = subprocess.run(
            ["nsenter", "--target", str(inside), "--all", "--setuid", uid, "--setgid", gid,
             "/opt/voicedeploy/venv/bin/python", "-I", "-m", "voicedeploy.call.proof", "/tmp/front/front.sock"],  # noqa: S108
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        report = json.loads(heard.stdout or "{}")
        assert heard.returncode == 0, (heard.stdout[-2000:], heard.stderr[-2000:])
        run = report["runs"][0]
        assert run["ok"], run["error"]
        print(f"first word {run['first_word_ms']:.0f} ms")  # noqa: T201
        assert Path(f"/proc/{inside}/status").read_text().count(f"{uid}\t{uid}\t{uid}\t{uid}")
    finally:
        container.terminate()
        said_last = container.communicate(timeout=30)[0]
    assert "WRITABLE" not in said_last


def _pid_inside(parent: int, argument: str) -> int:
    """The process of the front, once its socket is there and it is ready."""
    import psutil

    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for child in psutil.Process(parent).children(recursive=True):
            try:
                if argument in child.cmdline() and child.name().startswith("python") and _ready(child.pid):
                    return child.pid
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        time.sleep(0.2)
    raise AssertionError("the front did not start")


def _ready(pid: int) -> bool:
    asked = subprocess.run(
        ["nsenter", "--target", str(pid), "--all", "/usr/bin/python3.11", "-c",
         "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect('/tmp/front/front.sock');"
         "s.sendall(b'GET /readyz HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(200))"],
        capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return asked.returncode == 0
