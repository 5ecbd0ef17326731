"""Where things are on a host. All of it goes with `down`.

/opt/voicedeploy/
    uv/<version>/uv   python/   cache/     uv, the Pythons it fetched, its cache
    engine/<id>/                           the front and the caller, with an environment of their own
    bots/<bot>/
        deployment.toml  live  history     the record; the live release's name, and those before it
        ports                              the ports that are this bot's
        key  secrets.json  secrets.version
        lock  audit.log                    who is at it; one JSON line a change
        envs/<digest>/                     the bot's environments, shared by releases with the same lock file
        releases/<id>/                     bot/  front.toml  release.toml
    turn/                                  the host's own relay, where a bot asks for it: its secret and settings
/etc/systemd/system/voicedeploy-<bot>@<id>.service
/etc/systemd/system/voicedeploy-turn.service
/etc/caddy/voicedeploy/<bot>.caddy
/run/voicedeploy/<bot>/<id>/front.sock
"""

import hashlib
from dataclasses import dataclass

ROOT = "/opt/voicedeploy"
SOCKETS = "/run/voicedeploy"
SITES = "/etc/caddy/voicedeploy"
CADDYFILE = "/etc/caddy/Caddyfile"
UV_ENVIRONMENT = {
    "UV_CACHE_DIR": f"{ROOT}/cache",
    "UV_PYTHON_INSTALL_DIR": f"{ROOT}/python",
    "UV_SYSTEM_CERTS": "1",
    "UV_NO_PROGRESS": "1",
    "HOME": "/root",
}
"""What uv needs to know on a host; its Pythons may not be in a home folder, which the bot cannot see."""


@dataclass(frozen=True)
class Places:
    bot: str

    @property
    def root(self) -> str:
        return f"{ROOT}/bots/{self.bot}"

    def __truediv__(self, name: str) -> str:
        return f"{self.root}/{name}"

    @property
    def user(self) -> str:
        """The name of the unit's user, which systemd makes up while it runs; at most 31 characters."""
        name = f"vd-{self.bot}"
        return name if len(name) <= 31 else f"vd-{hashlib.sha256(self.bot.encode()).hexdigest()[:16]}"

    def release(self, release: str) -> str:
        return self / f"releases/{release}"

    def environment(self, digest: str) -> str:
        return self / f"envs/{digest}"

    def socket(self, release: str) -> str:
        return f"{SOCKETS}/{self.bot}/{release}/front.sock"

    def unit(self, release: str) -> str:
        return f"voicedeploy-{self.bot}@{release}.service"

    def unit_file(self, release: str) -> str:
        return f"/etc/systemd/system/{self.unit(release)}"

    @property
    def site(self) -> str:
        return f"{SITES}/{self.bot}.caddy"


def engine(identity: str) -> str:
    return f"{ROOT}/engine/{identity}"


def python(engine_id: str) -> str:
    """The interpreter that runs what is ours on the host."""
    return f"{engine(engine_id)}/.venv/bin/python"
