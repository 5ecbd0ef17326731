"""A machine's own file system: its image's, its `files`, its /etc/hosts, and what it writes."""

import base64
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.providers.fly.standin.images import Image

_UNSHARE, _NSENTER = shutil.which("unshare") or "", shutil.which("nsenter") or ""
_INSIDE = Path(__file__).parent / "inside"


class Disk:
    """Each start of the machine begins with a fresh one, as at Fly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, files: Sequence[Mapping[str, Any]], secrets: Mapping[str, str], address: str) -> None:
        """`address` is what `fly-global-services` is there."""
        given = self._folder / "files"
        if files and isolation() != "disk":
            raise OSError("machines have files only where the tests run as root")
        shutil.rmtree(given, ignore_errors=True)
        (self._folder / "disk").mkdir(parents=True, exist_ok=True)
        for file in files:
            path = given / file["guest_path"].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            content = secrets[file["secret_name"]] if file.get("secret_name") else file.get("raw_value", "")
            path.write_bytes(base64.b64decode(content))
            path.chmod(file.get("mode") or 0o644)
        hosts = given / "etc" / "hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        hosts.write_text(f"127.0.0.1 localhost\n::1 localhost\n{address} fly-global-services\n")

    def starting(self, image: Image, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` in it. It becomes the program: its process is the program's."""
        at, cwd = self._folder, str(image.cwd or "/")
        if image.root and isolation() != "disk":
            raise OSError("machines have a file system of their own only where the tests run as root")
        match isolation():
            case "disk":
                disk = ["/bin/sh", str(_INSIDE / "disk.sh"), str(at), str(image.root or "/")]
                enter = [sys.executable, "-I", str(_INSIDE / "enter.py"), str(at / "disk" / "root"), cwd]
                return [_UNSHARE, "--mount", *disk, *enter, str(image.user), str(image.group), *argv]
            case "hosts":
                return [*_USER, "/bin/sh", "-c", _HOSTS, str(at / "files" / "etc" / "hosts"), cwd, *argv]
            case "none":
                return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', cwd, *argv]

    def beside(self, image: Image, pid: int, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` where the process `pid` is."""
        user = ["--setuid", str(image.user), "--setgid", str(image.group)] if image.user else []
        there = [_NSENTER, "--target", str(pid), "--mount", "--wd"]
        match isolation():
            case "disk":
                return [*there, "--root", *user, *argv]
            case "hosts":
                return [*there, "--user", "--preserve-credentials", *argv]
            case "none":
                return [*argv]


_USER = (_UNSHARE, "--map-root-user", "--mount")
_HOSTS = 'mount --bind "$0" /etc/hosts && cd "$1" && shift && exec "$@"'


@cache
def isolation() -> Literal["disk", "hosts", "none"]:
    """What a machine can have for itself here: a disk (as root), a hosts file (where users may unshare), or nothing."""
    if sys.platform != "linux" or not (_UNSHARE and _NSENTER):
        return "none"
    with tempfile.TemporaryDirectory() as folder:
        trial = Disk(Path(folder))
        trial.prepare((), {}, "127.0.0.1")
        disk = [_UNSHARE, "--mount", "/bin/sh", str(_INSIDE / "disk.sh"), folder, "/", "true"]
        hosts = [*_USER, "/bin/sh", "-c", _HOSTS, f"{folder}/files/etc/hosts", "/", "true"]
        if subprocess.run(disk, capture_output=True, check=False).returncode == 0:
            return "disk"
        return "hosts" if subprocess.run(hosts, capture_output=True, check=False).returncode == 0 else "none"
