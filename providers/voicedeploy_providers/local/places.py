"""Where the local provider keeps things.

This machine is the target, so its record is where programs of this machine keep state: `$XDG_STATE_HOME/voicedeploy`
(default `~/.local/state/voicedeploy`), one folder for a bot::

    deployment.toml   the record: which release is live
    key  secrets.json lock
    releases/<id>/    the bot's files as they were
    envs/<digest>/    its environment, shared by releases with the same lock file
    run/<id>/         front.toml  front.pid  serve.log
"""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from voicedeploy.errors import NotReady


def state_home() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "voicedeploy"


@dataclass(frozen=True)
class Places:
    """The folders and files of one bot."""

    root: Path

    @classmethod
    def of(cls, bot: str) -> "Places":
        return cls(state_home() / bot)

    @property
    def record(self) -> Path:
        return self.root / "deployment.toml"

    @property
    def key(self) -> Path:
        return self.root / "key"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def release(self, release: str) -> Path:
        return self.root / "releases" / release

    def environment(self, digest: str) -> Path:
        return self.root / "envs" / digest

    def run(self, release: str) -> Path:
        return self.root / "run" / release

    def config(self, release: str) -> Path:
        return self.run(release) / "front.toml"

    def pid_file(self, release: str) -> Path:
        return self.run(release) / "front.pid"

    def log(self, release: str) -> Path:
        return self.run(release) / "serve.log"

    def output(self, release: str) -> Path:
        """What the front says outside its log: its own last words."""
        return self.run(release) / "output.txt"

    def socket(self, release: str) -> Path:
        """The front's private socket. Its path has to be short (108 bytes on Linux), so it lives elsewhere."""
        name = hashlib.sha256(f"{self.root}\0{release}".encode()).hexdigest()[:16]
        return _private_folder() / f"{name}.sock"

    def was_live(self, release: str) -> Path:
        """Is there when the release has had traffic."""
        return self.run(release) / "was-live"

    def releases(self) -> list[str]:
        """All that have a run folder, whether alive or not; the one that was changed last is last."""
        runs = self.root / "run"
        return [p.name for p in sorted(runs.iterdir(), key=_changed)] if runs.is_dir() else []


def _changed(folder: Path) -> tuple[float, str]:
    marks = [path.stat().st_mtime for path in (folder / "was-live", folder / "front.toml") if path.exists()]
    return (marks[0] if marks else 0.0), folder.name


def _private_folder() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or ""
    folder = (
        Path(base) / "voicedeploy"
        if Path(base).is_dir() and base
        else Path(tempfile.gettempdir()) / f"voicedeploy-{os.getuid()}"
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise NotReady(
            f"{folder} is not a folder of yours alone",
            hint=f"move it away, or chmod 700 {folder}",
        )
    return folder
