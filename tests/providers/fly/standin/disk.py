"""A machine's own file system: its image's, its `files`, its /etc/hosts, and what it writes."""

import base64
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.providers.fly.standin.images import Image

_INSIDE = Path(__file__).parent / "inside"


class Disk:
    """Each start of the machine begins with a fresh one, as at Fly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, files: Sequence[Mapping[str, Any]], secrets: Mapping[str, str], address: str) -> None:
        """`address` is what `fly-global-services` is there."""
        given = self._folder / "files"
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
        if not (unshare := _unshare()):
            return [*argv]
        root = self._folder / "disk" / "root"
        enter = [sys.executable, "-I", str(_INSIDE / "enter.py"), str(root), str(image.cwd or "/")]
        disk = ["sh", str(_INSIDE / "disk.sh"), str(self._folder), str(image.root or "/")]
        return [*unshare, *disk, *enter, str(image.user), str(image.group), *argv]

    def beside(self, image: Image, pid: int, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` where the process `pid` is."""
        if not (unshare := _unshare()):
            return [*argv]
        user = ["--setuid", str(image.user), "--setgid", str(image.group)] if image.user else []
        alone = ["--user", "--preserve-credentials"] if "--map-root-user" in unshare else []
        return ["nsenter", "--target", str(pid), *alone, "--mount", "--root", "--wd", *user, *argv]


@cache
def _unshare() -> tuple[str, ...]:
    """How a process gets its own mounts here; () where it cannot, and machines see this computer as it is."""
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "nsenter"))):
        return ()
    return ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
