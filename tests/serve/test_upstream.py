"""A front whose bots are elsewhere: who is let in, what is asked of the platform, and what its refusals become.

The calls themselves are heard in tests/lab/test_upstream.py; here the platform is whatever a test makes it say.
"""

import asyncio
import json
import threading
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.serve.conftest import BEARER, Running, running, write_config
from voicedeploy.serve.config import ConfigError, load
from voicedeploy.serve.phone import twilio
from voicedeploy.serve.upstream import front as upstream_front

PUBLIC = "pk_of_the_platform"
ID = "5e55104a-0000-4000-8000-000000000001"
STARTED: dict[str, Any] = {"sessionId": ID, "iceConfig": {"iceServers": [{"urls": ["stun:stun.example.org"]}]}}
ANSWER = {"sdp": "v=0 answer", "type": "answer", "pc_id": "pc-1"}
OFFER = {"sdp": "v=0", "type": "offer"}


class Platform:
    """Says what it is told to, once for each request and then the last again."""

    def __init__(self) -> None:
        self.says: list[tuple[int, Any, dict[str, str]]] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.keys: set[str] = set()
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                platform.asked.append((self.command, self.path, json.loads(body or b"null")))
                platform.keys.add(self.headers.get("authorization", ""))
                status, said, headers = platform.says.pop(0) if len(platform.says) > 1 else platform.says[0]
                raw = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(raw))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_PATCH = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/public/parrot"

    def say(self, status: int, said: Any, **headers: str) -> None:
        self.says.append((status, said, headers))


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(5)


def file(folder: Path, platform: Platform, key: str = PUBLIC, **tables: Any) -> Path:
    env = folder / "secrets.json"
    env.write_text(json.dumps({"PUBLIC": key, "TWILIO_AUTH_TOKEN": "t0k3n"}))
    env.chmod(0o600)
    upstream = {"name": "pipecat-cloud", "url": platform.url, "key": "PUBLIC"} | tables.pop("upstream", {})
    # None of it is there: such a front loads no bot.
    bot = {"env_file": "secrets.json", "project": "nowhere", "python": "nothing"}
    return write_config(folder, {"upstream": upstream, "bot": bot, **tables})


@pytest.fixture
async def front(tmp_path: Path, platform: Platform) -> AsyncIterator[Running]:
    async with running(file(tmp_path, platform)) as front:
        yield front


async def test_a_session_is_begun_there_and_its_offers_are_passed_on(front: Running, platform: Platform) -> None:
    platform.say(200, STARTED)
    platform.say(200, ANSWER)
    platform.say(200, {"status": "success"})
    started = await front.http.post("/start", json={"body": {"who": "me"}}, headers=BEARER)
    assert (started.status_code, started.json()) == (200, STARTED)
    answered = await front.http.post(f"/sessions/{ID}/api/offer", json=OFFER)
    assert (answered.status_code, answered.json()) == (200, ANSWER)
    more = {"pc_id": "pc-1", "candidates": [{"candidate": "candidate:1"}]}
    assert (await front.http.patch(f"/sessions/{ID}/api/offer", json=more)).status_code == 200
    assert [(method, path.partition("/parrot")[2]) for method, path, _ in platform.asked] == [
        ("POST", "/start"), ("POST", f"/sessions/{ID}/api/offer"), ("PATCH", f"/sessions/{ID}/api/offer"),
    ]  # fmt: skip
    wanted = {"transport": "webrtc", "enableDefaultIceServers": True, "body": {"who": "me"}}
    assert platform.asked[0][2] == wanted
    assert platform.asked[1][2]["sdp"] == "v=0"
    assert platform.keys == {f"Bearer {PUBLIC}"}
    assert (await front.status())["upstream"] == platform.url
    assert (await front.status())["slots"]["busy"] == 1
    assert not front.log("error") and PUBLIC not in json.dumps(front.log())


async def test_an_offer_without_a_start_begins_one(front: Running, platform: Platform) -> None:
    platform.say(200, STARTED)
    platform.say(200, ANSWER)
    answered = await front.http.post("/api/offer", json=OFFER, headers=BEARER)
    assert answered.json() == ANSWER | {"sessionId": ID}
    again = await front.http.patch("/api/offer", json={"pc_id": "pc-1", "candidates": []})
    assert again.status_code == 200
    assert platform.asked[-1][:2] == ("PATCH", f"/v1/public/parrot/sessions/{ID}/api/offer")
    unknown = await front.http.patch("/api/offer", json={"pc_id": "pc-2", "candidates": []})
    assert unknown.status_code == 404


async def test_where_only_a_relay_is_wanted_the_client_is_told_so(tmp_path: Path, platform: Platform) -> None:
    platform.say(200, STARTED)
    async with running(file(tmp_path, platform, transport={"relay_only": True})) as front:
        started = await front.http.post("/start", json={}, headers=BEARER)
    assert started.json()["iceConfig"] == {**STARTED["iceConfig"], "iceTransportPolicy": "relay"}


async def test_a_room_is_the_platforms(tmp_path: Path, platform: Platform) -> None:
    platform.say(200, {"sessionId": ID, "dailyRoom": "https://x.daily.co/r", "dailyToken": "t"})
    async with running(file(tmp_path, platform, transport={"kind": "daily", "region": "eu-west-2"})) as front:
        started = await front.http.post("/start", json={}, headers=BEARER)
    assert started.json()["dailyRoom"] == "https://x.daily.co/r"
    assert platform.asked[0][2] == {"createDailyRoom": True, "dailyRoomProperties": {"geo": "eu-west-2"}}


async def test_strangers_begin_nothing(front: Running, platform: Platform) -> None:
    platform.say(200, STARTED)
    assert (await front.http.post("/start", json={})).status_code == 401
    assert (await front.http.post("/api/offer", json=OFFER)).status_code == 401
    wrong = await front.http.post("/start", json={"transport": "daily"}, headers=BEARER)
    assert wrong.json()["error"]["code"] == "wrong-transport"
    for id in ("..%2f..%2fstart", "short", "a" * 80):
        assert (await front.http.post(f"/sessions/{id}/api/offer", json=OFFER)).status_code == 404
    assert (await front.http.get(f"/sessions/{ID}")).status_code == 404
    assert platform.asked == []


async def test_a_token_starts_one_call_and_stays_good_where_nothing_began(front: Running, platform: Platform) -> None:
    platform.say(429, {"error": "Rate limit exceeded"}, **{"retry-after": "7"})
    platform.say(200, STARTED)
    token = (await front.http.post("/token", json={}, headers=BEARER)).json()["token"]
    with_it = {"Authorization": f"Bearer {token}"}
    busy = await front.http.post("/start", json={}, headers=with_it)
    assert (busy.status_code, busy.json()["error"]["code"], busy.headers["retry-after"]) == (503, "busy", "7")
    assert (await front.http.post("/start", json={}, headers=with_it)).status_code == 200
    assert (await front.http.post("/start", json={}, headers=with_it)).status_code == 401
    assert len(platform.asked) == 2


@pytest.mark.parametrize(
    ("says", "status", "code"),
    [
        ((401, {"error": "bad key"}), 502, "upstream-key"),
        ((404, {"error": "Agent parrot not found"}), 502, "upstream-unknown"),
        ((400, {"error": f"no {PUBLIC}"}), 400, "upstream-refused"),
        ((500, "<html>"), 503, "upstream-down"),
        ((200, "<html>"), 503, "upstream-down"),
        ((200, []), 503, "upstream-down"),
    ],
)
async def test_what_the_platform_refuses(
    front: Running, platform: Platform, says: tuple[int, Any], status: int, code: str
) -> None:
    platform.say(*says)
    refused = await front.http.post("/start", json={}, headers=BEARER)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert PUBLIC not in refused.text
    assert "pipecat-cloud" in refused.json()["error"]["message"]


async def test_a_platform_that_is_gone(front: Running, platform: Platform) -> None:
    platform.server.server_close()
    refused = await front.http.post("/start", json={}, headers=BEARER)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "upstream-down")


async def test_an_unknown_session_is_one(front: Running, platform: Platform) -> None:
    platform.say(404, {"error": "Invalid or not-yet-ready session_id"})
    unknown = await front.http.post(f"/sessions/{ID}/api/offer", json=OFFER)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown-session")


async def test_it_drains_when_nobody_can_still_be_about_to_offer(
    front: Running, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_front, "SETTLES_S", 1.0)
    platform.say(200, STARTED)
    await front.http.post("/start", json={}, headers=BEARER)
    drained = await front.unix.post("/drain", json={})
    assert drained.json()["sessions"] == 1
    refused = await front.unix.post("/start", json={}, headers=BEARER)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    platform.say(200, ANSWER)
    assert (await front.unix.post(f"/sessions/{ID}/api/offer", json=OFFER)).status_code == 200
    assert await asyncio.wait_for(front.serving, 5) == 0


async def test_a_drain_can_be_taken_back(front: Running, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_front, "SETTLES_S", 0.5)
    platform.say(200, STARTED)
    await front.http.post("/start", json={}, headers=BEARER)
    await front.unix.post("/drain", json={})
    assert (await front.unix.post("/open", json={})).status_code == 200
    await asyncio.sleep(0.7)
    assert not front.serving.done()
    assert (await front.unix.post("/start", json={}, headers=BEARER)).status_code == 200


async def test_a_carrier_is_led_to_the_platforms_socket(tmp_path: Path, platform: Platform) -> None:
    upstream = {"line": "wss://us-west.example.org/ws/twilio", "parameters": {"_host": "parrot.acme"}}
    config = file(tmp_path, platform, upstream=upstream, transport={"kind": "twilio"})
    async with running(config) as front:
        form = [("CallSid", "CA1"), ("From", "+1"), ("To", "+2"), ("CallStatus", "ringing")]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode(form)
        stranger = await front.http.post("/phone", content=body, headers=headers)
        assert stranger.status_code == 403
        signed = headers | twilio.sign("t0k3n", f"{front.http.base_url}/phone".replace("//phone", "/phone"), form)
        answer = await front.http.post("/phone", content=body, headers=signed)
    assert answer.status_code == 200, answer.text
    stream = ElementTree.fromstring(answer.text).find("Connect/Stream")  # noqa: S314 - our own
    assert stream is not None and stream.get("url") == upstream["line"]
    assert {one.get("name"): one.get("value") for one in stream} == {
        "from_number": "+1", "to_number": "+2", "_host": "parrot.acme",
    }  # fmt: skip
    assert platform.asked == []


def test_without_its_key_it_does_not_begin(tmp_path: Path, platform: Platform) -> None:
    with pytest.raises(ConfigError, match=r"upstream\.key: the secret PUBLIC is not set") as error:
        load(file(tmp_path, platform, key=" "))
    assert "voicedeploy secrets set PUBLIC" in error.value.hint
