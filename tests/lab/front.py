"""`voicedeploy serve` as a process of its own, around the bot that `voicedeploy init` makes."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx
import tomli_w

from tests import forked
from voicedeploy.init.make import Services, artifacts_of
from voicedeploy.network import Transport
from voicedeploy.serve.client import FrontClient

PATIENCE_S = 30


@dataclass(frozen=True)
class Served:
    url: str
    """As a person on this machine would open it."""
    client: FrontClient
    log: Path
    process: subprocess.Popen[bytes]
    socket: str = ""
    key: str = field(default="", repr=False)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the front's log with this event, oldest first."""
        return [event for event in read_log(self.log) if event["event"] == name]


def read_log(file: Path) -> list[dict[str, Any]]:
    # The last line may be in the making.
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


@contextmanager
def served(
    *,
    slots: int,
    open_on_loopback: bool = True,
    transport: Transport = Transport.WEBRTC,
    values: Mapping[str, str] | None = None,
    phone: Mapping[str, str] | None = None,
    bot: str = "",
    host: str = "127.0.0.1",
    namespace: str = "",
) -> Iterator[Served]:
    """Ready to take a call; ends its calls and leaves nothing behind.

    `values`: the bot's secrets. `bot`: its code, instead of what `init` makes. `host`: where it listens, in that
    network namespace if one is named.
    """
    # Short, as a unix socket's path has to be.
    folder = Path(gettempdir(), f"vd-{os.getpid()}-{secrets.token_hex(3)}")
    project = folder / "project"
    project.mkdir(parents=True)
    for artifact in artifacts_of("front-desk", transport, Services.OFFLINE, "local"):
        (project / artifact.path).write_text(artifact.text)
    if bot:
        (project / "bot.py").write_text(bot)
    key = folder / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    env = folder / "env"
    env.write_text(json.dumps(dict(values or {})))
    env.chmod(0o600)
    socket = folder / "front.sock"
    file = folder / "front.toml"
    config = {
        "bot": {
            "name": "front-desk", "release": "r1", "project": "project", "python": str(forked.bots().python),
            "env_file": "env",
        },
        "transport": {"kind": transport.value},
        "phone": dict(phone or {}),
        "listen": {"host": host, "port": 0, "socket": str(socket)},
        "pool": {"min": slots, "max": slots},
        "access": {"key_file": "key", "open_on_loopback": open_on_loopback},
        "log": {"file": "front.log"},
    }  # fmt: skip
    file.write_text(tomli_w.dumps(config))
    there = ["ip", "netns", "exec", namespace] if namespace else []
    process = subprocess.Popen([*there, *forked.command("serve", "--config", str(file))])
    try:
        port = _port(process, host, folder / "front.log")
        name = "localhost" if host == "127.0.0.1" else host
        with FrontClient(socket=socket) as client:
            yield Served(f"http://{name}:{port}/", client, folder / "front.log", process, str(socket), key.read_text())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def _port(process: subprocess.Popen[bytes], host: str, log: Path) -> int:
    """Where the front listens, once a call could begin."""
    deadline = time.monotonic() + PATIENCE_S
    port = 0
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        port = next((event["port"] for event in read_log(log) if event["event"] == "listening"), 0)
        if port and httpx.get(f"http://{host}:{port}/readyz", trust_env=False).is_success:
            return port
    said = log.read_text()[-2000:] if log.exists() else ""
    raise AssertionError(f"the front is not ready after {PATIENCE_S} s ({process.poll()}): {said}")
