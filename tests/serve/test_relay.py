"""The relays of a call: credentials made here, asked of Cloudflare's API, renewed, and what happens without."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serve.conftest import BEARER, Running, lines, running, until, write_config
from voicedeploy.serve.config import ConfigError, load
from voicedeploy.serve.log import Log
from voicedeploy.serve.relay import MARGIN_S, SPARE_S, Relay, tls_first

SECRET, TOKEN = "shared-with-coturn", "cf-token"
COTURN = {"urls": ["turn:t.example:3478"], "secret": "TURN_SECRET"}
CLOUDFLARE = {"cloudflare": "key1", "secret": "CF_TOKEN"}
# As its documentation shows an answer.
GRANTED = {
    "iceServers": [
        {"urls": ["stun:stun.cloudflare.com:3478", "stun:stun.cloudflare.com:53"]},
        {
            "urls": [
                "turn:turn.cloudflare.com:3478?transport=udp",
                "turn:turn.cloudflare.com:53?transport=udp",
                "turn:turn.cloudflare.com:3478?transport=tcp",
                "turn:turn.cloudflare.com:80?transport=tcp",
                "turns:turn.cloudflare.com:5349?transport=tcp",
                "turns:turn.cloudflare.com:443?transport=tcp",
            ],
            "username": "cf-user",
            "credential": "cf-password",
        },
    ]
}


class Api(ThreadingHTTPServer):
    """Cloudflare's, as far as it is documented: one path, a bearer token, 201."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.opens_to = TOKEN
        self.silent, self.over = False, threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({"path": self.path, **body})
        if self.server.silent:
            self.server.over.wait(10)
            return
        right = self.headers["Authorization"] == f"Bearer {self.server.opens_to}"
        self.send_response(201 if right else 403)
        self.end_headers()
        self.wfile.write(json.dumps(GRANTED if right else {"errors": [TOKEN]}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def with_secrets(folder: Path, *servers: Any, api: str = "https://unused.example", **tables: Any) -> Path:
    file = folder / "secrets.json"
    file.write_text(json.dumps({"TURN_SECRET": SECRET, "CF_TOKEN": TOKEN, "KEY": "the bot's"}))
    file.chmod(0o600)
    transport = {"ice_servers": list(servers), "cloudflare_api": api}
    return write_config(folder, {"bot": {"env_file": "secrets.json"}, "transport": transport, **tables})


async def started(front: Running) -> tuple[str, list[dict[str, Any]]]:
    answer = (await front.http.post("/start", json={"transport": "webrtc"}, headers=BEARER)).json()
    return answer["sessionId"], answer.get("iceConfig", {}).get("iceServers", [])


def expiry(server: dict[str, Any]) -> int:
    return int(server["username"].partition(":")[0])


async def test_bot_and_client_get_the_same_credentials_made_for_this_call(folder: Path) -> None:
    async with running(with_secrets(folder, COTURN, session={"max_duration_s": 600}), forks=False) as front:
        one, [theirs] = await started(front)
        _, [others] = await started(front)
        said = json.loads((await front.offer(one)).json()["sdp"])
        assert said["session"]["ice_servers"] == [theirs]
        of_the_bot = psutil.Process(said["pid"]).environ()
        assert "TURN_SECRET" not in of_the_bot and of_the_bot["KEY"] == "the bot's"
        assert theirs["urls"] == ["turn:t.example:3478"]
        digest = hmac.new(SECRET.encode(), theirs["username"].encode(), hashlib.sha1).digest()
        assert theirs["credential"] == base64.b64encode(digest).decode()
        assert theirs["username"] != others["username"]
        log = json.dumps(lines(front.config))
    assert SECRET not in log and theirs["credential"] not in log
    assert one not in theirs["username"], "a session's id is the right to its call"


async def test_credentials_outlive_the_longest_call(folder: Path) -> None:
    now = 1_800_000_000.0
    config = load(with_secrets(folder, COTURN, session={"max_duration_s": 900}))
    relay = Relay(config, Log(folder / "log", max_bytes=9999, release="r"), clock=lambda: now)
    [server], _ = relay.servers("a")
    assert expiry(server) == now + 900 + MARGIN_S
    now += 5000  # a front runs for weeks
    [server], _ = relay.servers("b")
    assert expiry(server) == now + 900 + MARGIN_S


async def test_cloudflare_is_asked_before_there_is_a_call(folder: Path, api: Api) -> None:
    stun = {"urls": "stun:s.example"}
    async with running(with_secrets(folder, CLOUDFLARE, stun, api=api.url)) as front:
        await until(lambda: bool(front.log("relay")))
        _, servers = await started(front)
        assert [server["urls"] for server in servers] == [
            [
                "turn:turn.cloudflare.com:3478?transport=udp",
                "turn:turn.cloudflare.com:3478?transport=tcp",
                "turn:turn.cloudflare.com:80?transport=tcp",
                "turns:turn.cloudflare.com:5349?transport=tcp",
                "turns:turn.cloudflare.com:443?transport=tcp",
            ],
            "stun:s.example",
        ]
        assert (servers[0]["username"], servers[0]["credential"]) == ("cf-user", "cf-password")
        await started(front)
        path = "/v1/turn/keys/key1/credentials/generate-ice-servers"
        assert api.asked == [{"path": path, "ttl": 1800 + MARGIN_S + SPARE_S}]
        log = json.dumps(lines(front.config))
    assert TOKEN not in log and "cf-password" not in log


async def test_without_cloudflare_a_call_goes_on_with_what_is_left(folder: Path, api: Api) -> None:
    api.silent = True
    async with running(with_secrets(folder, CLOUDFLARE, COTURN, api=api.url)) as front:
        began = asyncio.get_running_loop().time()
        id, servers = await started(front)
        assert asyncio.get_running_loop().time() - began < 1, "no call waits for it"
        assert [server["urls"] for server in servers] == [["turn:t.example:3478"]]
        [line] = front.log("relay-missing", session=id)
        assert (line["level"], line["relay"]) == ("warning", "cloudflare key1")
        await until(lambda: bool(front.log("relay-unanswered")))
        [line] = front.log("relay-unanswered")
        assert line["text"] == "no answer within 3 s"


async def test_a_wrong_token_is_said_and_not_shown(folder: Path, api: Api) -> None:
    api.opens_to = "another"
    async with running(with_secrets(folder, CLOUDFLARE, api=api.url)) as front:
        await until(lambda: bool(front.log("relay-unanswered")))
        [line] = front.log("relay-unanswered")
        assert "refuses the token" in line["text"]
        log = json.dumps(lines(front.config))
    assert TOKEN not in log


async def test_cloudflare_s_credentials_are_renewed_well_before_they_expire(
    folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicedeploy.serve.relay.LOOK_S", 0.01)
    monkeypatch.setattr("voicedeploy.serve.relay.AGAIN_S", 0.01)
    now = 0.0
    config = load(with_secrets(folder, CLOUDFLARE, api=api.url))
    log = Log(folder / "log", max_bytes=99999, release="r")
    relay = Relay(config, log, clock=lambda: now)
    relay.start()
    try:
        await until(lambda: bool(relay.servers("a")[0]))
        now += SPARE_S / 2 - 10
        await asyncio.sleep(0.1)
        assert len(api.asked) == 1
        now += 20
        await until(lambda: len(api.asked) == 2)
        # An outage: what there is serves until it expires, and is not handed out after.
        await until(lambda: (folder / "log").read_text().count('"relay"') >= 2)
        api.opens_to = "another"
        now += SPARE_S / 2 + 10
        await until(lambda: len(api.asked) > 2)
        assert relay.servers("b")[0]
        now += 1800 + MARGIN_S + SPARE_S
        assert relay.servers("c") == ([], [])
        api.opens_to = TOKEN
        await until(lambda: bool(relay.servers("d")[0]))
    finally:
        await relay.close()


def test_a_secret_that_is_not_set_is_said_at_the_start(folder: Path) -> None:
    file = with_secrets(folder, {"urls": "turn:t.example", "secret": "GONE"})
    with pytest.raises(ConfigError, match=r"transport.ice_servers: the secret GONE is not set") as caught:
        load(file)
    assert "voicedeploy secrets set GONE" in caught.value.hint


async def test_without_udp_relays_over_tls_come_first(folder: Path, api: Api) -> None:
    static = {"urls": ["turn:u.example", "turns:u.example"], "username": "u", "credential": "p"}
    servers = (COTURN, {"urls": "stun:s.example"}, static, CLOUDFLARE)
    async with running(with_secrets(folder, *servers, api=api.url, media={"tcp_only": True})) as front:
        await until(lambda: bool(front.log("relay")))
        _, found = await started(front)
    assert [server["urls"][0] for server in found] == [
        "turns:u.example",
        "turns:turn.cloudflare.com:5349?transport=tcp",
        "turn:t.example:3478",
    ]
    assert found[0]["urls"] == ["turns:u.example", "turn:u.example"]


def test_tcp_comes_before_udp() -> None:
    urls = ["turn:a", "turn:a?transport=tcp", "turns:a?transport=tcp"]
    assert tls_first([{"urls": urls}, {"urls": "stun:b"}]) == [{"urls": urls[::-1]}]


async def test_a_relay_beside_the_bot_is_for_callers_only(folder: Path) -> None:
    (folder / "turn-secret").write_text(SECRET * 2)
    (folder / "turn-secret").chmod(0o600)
    own = {"urls": ["turn:here.example:3478"], "secret_file": "turn-secret", "callers_only": True}
    async with running(with_secrets(folder, own, {"urls": "stun:s.example"})) as front:
        id, servers = await started(front)
        assert [server["urls"] for server in servers] == ["stun:s.example", ["turn:here.example:3478"]]
        digest = hmac.new((SECRET * 2).encode(), servers[1]["username"].encode(), hashlib.sha1).digest()
        assert servers[1]["credential"] == base64.b64encode(digest).decode()
        said = json.loads((await front.offer(id)).json()["sdp"])
        assert said["session"]["ice_servers"] == [{"urls": "stun:s.example"}]


def test_the_file_with_a_relay_s_secret_is_nobody_else_s(folder: Path) -> None:
    file = with_secrets(folder, {"urls": "turn:t.example", "secret_file": "turn-secret"})
    with pytest.raises(ConfigError, match=r"transport.ice_servers.secret_file"):
        load(file)
    (folder / "turn-secret").write_text(SECRET * 2)
    (folder / "turn-secret").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        load(file)
