"""What of voicedeploy itself goes to a host: the front and the caller, exactly as they are here, and uv."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import uv

from voicedeploy import beside
from voicedeploy.errors import NotReady
from voicedeploy.plan import Command, Step, Upload
from voicedeploy_providers.vm.facts import Facts
from voicedeploy_providers.vm.places import ROOT, UV_ENVIRONMENT, engine

_LINUX = {"x86_64": "x86_64-unknown-linux-musl", "aarch64": "aarch64-unknown-linux-musl"}


def uv_version() -> str:
    return version("uv")


def uv_on_host() -> str:
    return f"{ROOT}/uv/{uv_version()}/uv"


def steps(facts: Facts) -> list[Step]:
    """What is missing of it on the host."""
    made = []
    if uv_version() not in facts.uv:
        tool = _uv_for(facts.machine)
        upload = Upload(tool.parent, (tool.name,), f"{ROOT}/uv/{uv_version()}")
        made.append(Step("+", "uv", uv_version(), upload))
    name = beside.identity()
    if name not in facts.engines:
        folder = engine(name)
        made += [
            Step("+", "engine", f"{name}, {len(beside.files())} files", Upload(beside.FOLDER, beside.files(), folder)),
            Step("+", "packages", "of the engine", Command(("sh", "-c", _MAKE, "sh", uv_on_host()), folder, _ENV)),
        ]
    return made


_ENV = {**UV_ENVIRONMENT, "UV_PYTHON": ">=3.11"}
_MAKE = """\
set -eu
"$1" venv --quiet --allow-existing .venv
"$1" pip sync --python .venv/bin/python --compile-bytecode --require-hashes voicedeploy/data/host.lock
for site in .venv/lib/python3.*/site-packages; do ln -sfn "$PWD/voicedeploy" "$site/voicedeploy"; done
.venv/bin/python -I -m compileall -q voicedeploy
: > ready
"""


def _uv_for(machine: str) -> Path:
    """uv's program for the host: this machine's own, or the one of the same version for the host's processor."""
    if machine not in _LINUX:
        raise NotReady(f"the host is a {machine or 'machine of an unknown kind'}", hint="x86_64 and aarch64 are known")
    if sys.platform == "linux" and _here() == machine:
        return Path(uv.find_uv_bin())
    folder = Path.home() / ".cache" / "voicedeploy" / f"uv-{uv_version()}-{machine}"
    tool = folder / "bin" / "uv"
    if not tool.exists():
        command = (
            uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(folder),
            "--python-platform", _LINUX[machine], "--only-binary", ":all:", f"uv=={uv_version()}",
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotReady(
                f"uv for {machine} could not be fetched: {done.stderr.strip()}", hint="is the network there?"
            )
    return tool


def _here() -> str:
    import platform

    return {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
