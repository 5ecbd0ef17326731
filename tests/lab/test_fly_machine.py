"""The front as a machine of the stand-in of Fly: real calls through its proxy, and a drain before the machine stops."""

import asyncio
import json
import secrets
import sys
from pathlib import Path

import pytest
import tomli_w
from voicedeploy_providers.fly.api import Config, Fly, Port, Restart, Service, ServiceCheck, Token

from tests.providers.fly.house import House
from tests.providers.fly.standin import Image, Standin
from tests.waiting import until
from voicedeploy.call import Callee, CallOptions, Script, call
from voicedeploy.init.make import Services, artifacts_of
from voicedeploy.network import Transport

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
PORT = 8080


def front(folder: Path, transport: Transport, key: str) -> Image:
    """Around the bot that `voicedeploy init` makes."""
    project = folder / "project"
    project.mkdir()
    for artifact in artifacts_of("front-desk", transport, Services.OFFLINE, "local"):
        (project / artifact.path).write_text(artifact.text)
    (folder / "key").write_text(key)
    (folder / "key").chmod(0o600)
    config = {
        "bot": {"name": "front-desk", "release": "r1", "project": "project", "python": sys.executable},
        "transport": {"kind": transport.value},
        "listen": {"host": "127.0.0.1", "port": 0, "port_from_env": True, "socket": "/tmp/fly-front/front.sock"},  # noqa: S108
        "pool": {"min": 1, "max": 2},
        "access": {"key_file": "key", "open_on_loopback": False},
    }
    (folder / "front.toml").write_text(tomli_w.dumps(config))
    argv = (sys.executable, "-m", "voicedeploy", "serve", "--config", str(folder / "front.toml"))
    return Image(argv, cwd=Path.cwd())


@pytest.mark.parametrize("transport", [Transport.WEBRTC, Transport.WEBSOCKET])
def test_a_front_in_a_machine_is_heard_and_drains(tmp_path: Path, transport: Transport) -> None:
    key = secrets.token_hex(32)
    https = Port(port=443, handlers=("tls", "http"))
    ready = ServiceCheck(type="http", port=PORT, method="GET", path="/readyz")
    config = Config(
        image="front:1",
        env={"PORT": str(PORT)},
        restart=Restart(policy="no"),
        services=(Service(protocol="tcp", internal_port=PORT, autostop="off", ports=(https,), checks=(ready,)),),
    )
    with Standin() as standin, Fly(Token.parse(standin.token), standin.places) as fly:
        standin.images.add("front", front(tmp_path, transport, key))
        fly.apps.create("voice-bot", "personal")
        house = House(standin, fly.app("voice-bot"))
        made = house.app.machines.create("bot-1", config, region="fra")
        until(lambda: standin.machine("voice-bot", "bot-1").healthy, 60)
        callee = Callee.parse(house.site, key=key)
        run = asyncio.run(call(callee, Script.demo(2), CallOptions(quiet_s=0.6)))
        assert run.ok, run.error
        assert [turn.heard for turn in run.turns] == ["hello who are you", "what can you do"]
        house.app.machines.stop(made.id, timeout_s=30)
        assert house.app.machines.wait(made.id, "stopped", timeout_s=40) == "stopped"
        seen = house.now(made)
        said = [json.loads(line.message) for line in house.app.logs.page().lines if line.message.startswith("{")]
    assert [event.exit_code for event in seen.events if event.type == "exit"] == [0]
    assert "loaded" in {line["event"] for line in said}
    assert standin.violations == []
