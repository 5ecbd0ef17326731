"""Packages for another machine than this one, as a layer: wheels that uv chooses, and nothing that is compiled here."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uv

from voicedeploy import project
from voicedeploy.environment import hint
from voicedeploy.errors import NotReady
from voicedeploy.image.layer import Entry, Kept, Layer, folder

_FORMAT = "2"
"""Of what is packed: another one makes layers that were kept before worthless."""
_TIMEOUT_S = 900
HOME = "/usr/local/bin"
"""Where Docker's own images of Python have it."""
# glibc 2.28 is older than that of every base image one would choose, and newer wheels ask for it.
PLATFORMS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}


@dataclass(frozen=True)
class Machine:
    """What the image runs on: `platform` "linux/amd64", `python` "3.12"."""

    platform: str
    python: str


def requirements(root: Path, extra: str) -> str:
    """What the project's own lock asks for, in pip's words; of a project without one, its requirements as they are."""
    needs = project.dependencies(root)
    if needs.source is project.Source.REQUIREMENTS:
        return (root / needs.files[0]).read_text("utf-8")
    own = ("--extra", extra) if extra else ()
    frozen = ("--frozen",) if needs.locked else ()
    export = ("export", "--quiet", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", *own, *frozen)
    return _uv(*export, cwd=root)


def layer(asked: str, venv: str, machine: Machine, kept: Kept) -> tuple[Layer, str]:
    """A virtual environment at `venv` ("opt/bot/venv") with what `asked` lists; and a note, mostly empty.

    Kept under what it is made of, so that a second build with the same lock takes no time.
    """
    compiler = _compiler(machine.python)
    key = (_FORMAT, asked, venv, machine.platform, machine.python, "compiled" if compiler else "")
    note = (
        "" if compiler else f"no Python {machine.python} to be had here: each start compiles, which takes some seconds"
    )
    if found := kept.find(*key):
        return found, note
    with tempfile.TemporaryDirectory(prefix="voicedeploy-image-") as made:
        site = Path(made) / "site"
        listed = Path(made) / "requirements.txt"
        listed.write_text(asked, "utf-8")
        _uv(
            "pip", "install", "--quiet", "--target", str(site), "--python-platform", PLATFORMS[machine.platform],
            "--python-version", machine.python, "--link-mode", "hardlink",
            *(("--require-hashes",) if "--hash" in asked else ()), "--requirements", str(listed),
        )  # fmt: skip
        _portable(site)
        inside = f"{venv}/lib/python{machine.python}/site-packages"
        if compiler:
            compiler(site, f"/{inside}")
        return kept.keep(_environment(site, inside, venv, machine), *key), note


def _portable(site: Path) -> None:
    """What came as source only was built here. Of Python alone, it runs anywhere; compiled, only on this machine."""
    for wheel in sorted(site.glob("*.dist-info/WHEEL")):
        tags = re.findall(r"^Tag: \S+-(\S+)$", wheel.read_text("utf-8"), re.MULTILINE)
        if tags and all(tag != "any" and "manylinux" not in tag for tag in tags):
            name = wheel.parent.name.partition("-")[0]
            raise NotReady(
                f"the image's packages: {name} has no wheel for that platform, and was compiled for this one",
                hint=f"another version of {name}, or build the Dockerfile that `voicedeploy render` writes",
            )


def _environment(site: Path, inside: str, venv: str, machine: Machine) -> Iterator[Entry]:
    yield Entry(f"{venv}/bin/python", link=f"{HOME}/python{machine.python}")
    config = f"home = {HOME}\ninclude-system-site-packages = false\nversion = {machine.python}\n"
    yield Entry(f"{venv}/pyvenv.cfg", config.encode())
    # uv's own marks of what it did here, and programs whose first line names this machine's Python.
    yield from (
        entry
        for entry in folder(site, inside)
        if entry.name.rpartition("/")[2] not in (".lock", "uv_cache.json", "direct_url.json")
        and not entry.name.startswith(f"{inside}/bin/")
    )


def _compiler(version: str) -> Callable[[Path, str], None] | None:
    """Compiles a folder's modules as the image's Python would: with this machine's own Python of that version, or one
    that uv fetches. None where there is neither."""
    find = (uv.find_uv_bin(), "python", "find", "--no-project", version)
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode:
        fetch = (uv.find_uv_bin(), "python", "install", "--quiet", version)
        if subprocess.run(fetch, capture_output=True, check=False, timeout=_TIMEOUT_S).returncode:
            return None
        found = subprocess.run(find, capture_output=True, text=True, check=False)
    python = found.stdout.strip()

    def compile_all(site: Path, inside: str) -> None:
        # By hash, unchecked: the same bytes on every machine, and no look at the source when it starts.
        command = (python, "-I", "-m", "compileall", "-q", "-j", "0", "-s", str(site), "-p", inside)
        # A module for other systems or versions may not compile; Python then says so when it is imported.
        subprocess.run((*command, "--invalidation-mode", "unchecked-hash", str(site)), capture_output=True, check=False)

    return compile_all


def compiled(site: Path, inside: str, version: str) -> None:
    """Compiles a folder in place, if this machine can."""
    if run := _compiler(version):
        run(site, inside)


def _uv(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        (uv.find_uv_bin(), *arguments, "--no-progress", "--color", "never"),
        cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip()
    raise NotReady(f"the image's packages: {said}", hint=hint(said))
