"""On Fly by the other ways in: WebRTC by a relay alone, and a phone carrier's socket."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desk import Desk
from tests.lab.local import free_port

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SECRET = secrets.token_hex(16)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[str]:
    """A real coturn on loopback; its address."""
    port = free_port()
    loopback = ["--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--allow-loopback-peers"]
    secret = ["--use-auth-secret", "--static-auth-secret", SECRET, "--realm", "example.org"]
    quiet = ["--no-tls", "--no-dtls", "--no-cli", "--log-file", str(tmp_path / "coturn.log"), "--simple-log"]
    ports = ["--min-port", "21900", "--max-port", "21919", "--pidfile", str(tmp_path / "coturn.pid")]
    coturn = subprocess.Popen(["turnserver", "-n", "--listening-port", str(port), *loopback, *secret, *quiet, *ports],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    yield f"turn:127.0.0.1:{port}"
    coturn.terminate()
    coturn.wait(10)


def spec(desk: Desk, transport: str) -> None:
    (desk.root / "voicedeploy.toml").write_text(
        f'[bot]\nname = "talker"\nprovider = "fly"\n[transport]\n{transport}\n[pool]\nmin = 1\nmax = 2\n'
        '[provider.fly]\nimage = "talker"\nregion = "fra"\n'
    )


def test_webrtc_by_a_relay_alone(desk: Desk, relay: str) -> None:
    spec(desk, f'kind = "webrtc"\nrelay_only = true\nturn = [{{ urls = "{relay}", secret = "TURN_SECRET" }}]')
    assert desk.run("secrets", "set", "TURN_SECRET", stdin=f"{SECRET}\n").code == 0
    up = desk.up("--json")
    assert up.code == 0, up
    call = desk.run("call", "--relay-only", "--json")
    assert call.code == 0, call
    assert call.json["runs"][0]["ok"]
    assert SECRET not in up.out + up.err + call.out + call.err


def test_a_phone_call(desk: Desk) -> None:
    spec(desk, 'kind = "twilio"')
    assert desk.run("secrets", "set", "TWILIO_ACCOUNT_SID", stdin=f"AC{'a' * 32}\n").code == 0
    assert desk.run("secrets", "set", "TWILIO_AUTH_TOKEN", stdin="a-token-of-nobody\n").code == 0
    up = desk.up("--json")
    assert up.code == 0, up
    assert up.json["call"]["ok"]
    call = desk.run("call", "--json")
    assert call.code == 0, call
