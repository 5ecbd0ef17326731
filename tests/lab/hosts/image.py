"""The root file system that all hosts share, made once and kept."""

import functools
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.lab.hosts.state import locked
from tests.lab.hosts.trouble import LabError

RECIPE = Path(__file__).with_name("rootfs.sh")
CERTIFICATES = Path("/usr/local/share/ca-certificates")
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")


def cache() -> Path:
    return Path(os.environ.get("VOICEDEPLOY_LAB_CACHE") or Path.home() / ".cache" / "voicedeploy-lab")


@functools.cache
def archives() -> tuple[tuple[str, str], ...]:
    """(address, suite) of the Debian archives that this machine's own apt uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    pairs = {(line.split()[0], line.split()[1]) for line in listed.stdout.splitlines() if len(line.split()) == 2}
    found = tuple(sorted(pair for pair in pairs if pair[1] in SUITES))
    if not any(suite == SUITES[0] for _, suite in found):
        raise LabError(f"the lab's hosts are Debian 12, and apt knows no {SUITES[0]} here; is `apt-get update` due?")
    return found


def sources() -> str:
    return "".join(f"deb {address} {suite} main\n" for address, suite in archives())


def key(sources: str) -> str:
    digest = hashlib.sha256(RECIPE.read_bytes() + sources.encode())
    for certificate in sorted(CERTIFICATES.glob("*.crt")):
        digest.update(certificate.read_bytes())
    return f"{week()}-{digest.hexdigest()[:16]}"


def week() -> str:
    """Debian takes away the files that older package lists name, so a root file system serves for a week."""
    return time.strftime("%G-%V", time.gmtime())


def root() -> Path:
    """The folder; made first if it is not there yet, which takes about a minute."""
    wanted = sources()
    folder = cache() / key(wanted)
    with locked(cache() / "lock"):
        if not folder.exists():
            half = folder.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            made = subprocess.run([str(RECIPE), str(half)], input=wanted, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                raise LabError(f"the hosts' root file system could not be made:\n{made.stderr[-2000:]}")
            half.rename(folder)
    return folder


def forget_old() -> None:
    """The root file systems of other weeks. Only while no host stands on one."""
    with locked(cache() / "lock"):
        for folder in cache().iterdir():
            if folder.is_dir() and not folder.name.startswith(week()):
                shutil.rmtree(folder)
