"""Relays as `check` asks them; what a real coturn answers is in tests/lab/test_turn.py."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from voicedeploy import relays, turn
from voicedeploy.spec import load
from voicedeploy.turn import Asked, Outcome, allocate, tried


@pytest.fixture
def closed() -> int:
    """A port where nobody is, for TCP and for UDP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_dead_server_is_told_with_its_reason(closed: int) -> None:
    for url, said in {
        f"turn:127.0.0.1:{closed}": "Connection refused",
        f"turn:127.0.0.1:{closed}?transport=tcp": "Connection refused",
        f"turns:127.0.0.1:{closed}": "Connection refused",
        "turn:turn.invalid:3478": "the name turn.invalid leads nowhere",
    }.items():
        assert allocate(url, "u", "p") == Outcome(url, "dead", said)


def test_what_is_no_turn_server(closed: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for greeting in (b"SSH-2.0-hello\r\n", b"SSH-2.0-hello\r\n", b""):
                one, _ = server.accept()
                with one:
                    one.sendall(greeting)
                    one.recv(1024)

        thread = threading.Thread(target=serve)
        thread.start()
        assert allocate(f"turn:127.0.0.1:{port}?transport=tcp", "u", "p").said == "what answers there is no TURN server"
        assert allocate(f"turns:127.0.0.1:{port}", "u", "p").said.startswith("no TLS is spoken there")
        assert allocate(f"turn:127.0.0.1:{port}?transport=tcp", "u", "p").kind == "dead"
        thread.join()


def test_a_silent_server_is_asked_three_seconds_long_and_all_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"turn:127.0.0.1:{silent.getsockname()[1]}"
        found = tried([Asked((url, url), username="u", credential="p"), Asked((url,), "GONE")], {})
        assert found == [
            Outcome(url, "dead", "no answer within 3 s"),
            Outcome(url, "dead", "no answer within 3 s"),
            Outcome(url, "no-secret", "GONE"),
        ]
        silent.setblocking(False)
        assert len([silent.recv(2048) for _ in range(6)]) == 6, "each was asked more than once"


class Api(BaseHTTPRequestHandler):
    granted: Any = None

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        right = self.path.startswith("/v1/turn/keys/key1/") and self.headers["Authorization"] == "Bearer token"
        self.send_response(201 if right else 401)
        self.end_headers()
        self.wfile.write(json.dumps(self.granted).encode() if right else b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def api(closed: int) -> Iterator[str]:
    urls = [f"turn:127.0.0.1:{closed}?transport=tcp", "turn:127.0.0.1:53?transport=udp", "stun:127.0.0.1:3478"]
    Api.granted = {"iceServers": [{"urls": urls, "username": "u", "credential": "p"}]}
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_cloudflare_grants_is_tried(api: str, closed: int) -> None:
    asked = [Asked((), "T", "key1")]
    assert tried(asked, {"T": "token"}, api) == [
        Outcome(f"turn:127.0.0.1:{closed}?transport=tcp", "dead", "Connection refused")
    ]
    assert tried(asked, {"T": "wrong"}, api) == [Outcome("cloudflare key1", "no-key", "401 Unauthorized")]
    assert tried(asked, {"T": "token"}, f"http://127.0.0.1:{closed}")[0].kind == "no-api"
    assert tried(asked, {}, api) == [Outcome("cloudflare key1", "no-secret", "T")]
    Api.granted = {"errors": []}
    assert tried(asked, {"T": "token"}, api)[0].kind == "no-api"


def test_a_host_tries_them_with_the_secrets_that_are_there(tmp_path: Path, closed: int) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"HERE": "hush"}')
    url = f"turn:127.0.0.1:{closed}?transport=tcp"
    text = turn.program([Asked((url,), "HERE"), Asked((url,), "GONE")], str(file))
    done = subprocess.run([sys.executable, "-I", "-"], input=text, capture_output=True, text=True, check=True)
    assert turn.parsed(f"Welcome!\n{done.stdout}") == [
        Outcome(url, "dead", "Connection refused"),
        Outcome(url, "no-secret", "GONE"),
    ]
    with pytest.raises(ValueError, match="nothing"):
        turn.parsed("")


KINDS = {
    "refused": ("VD310", "error"),
    "expired": ("VD311", "error"),
    "dead": ("VD312", "warning"),
    "no-secret": ("VD313", "warning"),
    "no-key": ("VD314", "error"),
    "no-api": ("VD315", "warning"),
    "full": ("VD317", "warning"),
}


def test_each_outcome_has_a_code_and_a_fix() -> None:
    for kind, code in KINDS.items():
        [found] = relays.findings([Outcome("turn:x", kind, "why")])
        assert (found.code, found.severity) == code
        assert "turn:x" in found.message and "why" in found.message and found.fix
    inside, outside = relays.findings([Outcome("turn:x", "given", "10.0.0.4"), Outcome("turn:x", "given", "1.2.3.4")])
    assert (inside.code, outside.code) == ("VD316", "VD000")


def test_what_the_spec_asks_to_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    file = tmp_path / "voicedeploy.toml"
    url = f"turn:127.0.0.1:{closed}?transport=tcp"
    file.write_text(f"""
[bot]
name = "a"
[transport]
turn = [{{ urls = "{url}", secret = "SOME_TURN_SECRET" }}]
ice_servers = ["stun:s.example", {{ urls = "{url}", username = "u", credential = "hush" }}]
""")
    spec = load(file)
    assert "hush" not in repr(relays.asked(spec))
    monkeypatch.delenv("SOME_TURN_SECRET", raising=False)
    assert [outcome.kind for outcome in relays.from_here(spec)] == ["no-secret", "dead"]
    monkeypatch.setenv("SOME_TURN_SECRET", "word")
    assert [outcome.kind for outcome in relays.from_here(spec)] == ["dead", "dead"]
    file.write_text(file.read_text().replace("[transport]", '[transport]\nkind = "websocket"'))
    assert relays.from_here(load(file)) == []
