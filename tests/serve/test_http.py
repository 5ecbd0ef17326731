"""The front over real sockets: who may what, and what a stranger cannot do."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.conftest import BEARER, KEY, Running, running, until, write_config
from voicedeploy.serve import body, guard
from voicedeploy.serve.page import PAGE


def address(front: Running) -> tuple[str, int]:
    return front.http.base_url.host, front.http.base_url.port or 80


def raw(front: Running, request: bytes) -> bytes:
    """What comes back for bytes that no client library would send."""
    with socket.create_connection(address(front), timeout=5) as sock:
        sock.sendall(request)
        data = b""
        while more := sock.recv(1 << 16):
            data += more
            if b"\r\n\r\n" in data and b"chunked" not in data:
                break
        return data


async def test_a_stranger_starts_nothing(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        offer = {"sdp": "v=0", "type": "offer"}
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {KEY}"}):
            for path, sent in (("/start", {}), ("/api/offer", offer), ("/token", {}), ("/drain", {}), ("/open", {})):
                answer = await front.http.post(path, json=sent, headers=headers)
                assert answer.status_code == 401, (path, headers, answer.text)
                assert set(answer.json()["error"]) == {"code", "message", "hint"}
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/status", "/metrics"):
            assert (await front.http.get(path)).status_code == 401
        unknown = "00000000-0000-4000-8000-000000000000"
        assert (await front.http.post(f"/sessions/{unknown}/api/offer", json=offer)).status_code == 404
        assert (await front.http.delete(f"/sessions/{unknown}")).status_code == 404
        assert (await front.http.get("/ws")).status_code == 404
        assert (await front.http.get("/files/..%2fkey")).status_code == 404
        assert (await front.http.get("/start")).status_code == 405
        status = await front.status()
        assert status["slots"]["busy"] == 0
        assert not front.log("session-started")


async def test_tokens(folder: Path) -> None:
    async with running(write_config(folder, {"pool": {"max": 2}})) as front:

        async def mint(bearer: str, **body: Any) -> httpx.Response:
            return await front.http.post("/token", json=body, headers={"Authorization": f"Bearer {bearer}"})

        async def start(bearer: str) -> httpx.Response:
            return await front.http.post("/start", json={}, headers={"Authorization": f"Bearer {bearer}"})

        answer = (await mint(KEY, kind="invite", ttl_s=100)).json()
        assert answer["expires_in_s"] == 100
        invite = answer["token"]
        assert (await mint(invite, kind="invite")).status_code == 401
        assert (await start(invite)).status_code == 401
        assert (await front.http.get("/status", headers={"Authorization": f"Bearer {invite}"})).status_code == 401
        tokens = [(await mint(invite)).json() for _ in range(3)]
        assert {token["expires_in_s"] for token in tokens} == {60}
        first, second, third = (token["token"] for token in tokens)
        assert (await mint(first)).status_code == 401

        # At once, and it still starts one call only.
        answers = await asyncio.gather(*(start(first) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
        assert {a.json()["error"]["code"] for a in answers if a.status_code == 401} == {"token-spent"}
        assert (await start(second)).status_code == 200

        # A token that finds no slot stays good.
        full = await start(third)
        assert (full.status_code, full.json()["error"]["code"]) == (503, "busy")
        id = (await front.status())["sessions"][0]["id"]
        await front.http.delete(f"/sessions/{id}")
        await front.ended(id)
        assert (await start(third)).status_code == 200
        assert (await start(third)).json()["error"]["code"] == "token-spent"


async def test_twenty_at_once_on_four_slots(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        answers = await asyncio.gather(
            *(front.http.post("/start", json={"body": {}}, headers=BEARER) for _ in range(20))
        )
        good = [answer for answer in answers if answer.status_code == 200]
        full = [answer for answer in answers if answer.status_code == 503]
        assert (len(good), len(full)) == (4, 16)
        assert {answer.json()["error"]["code"] for answer in full} == {"busy"}
        assert {answer.headers["retry-after"] for answer in full} == {"5"}
        offers = await asyncio.gather(*(front.offer(answer.json()["sessionId"]) for answer in good))
        pids = {json.loads(answer.json()["sdp"])["pid"] for answer in offers}
        assert len(pids) == 4
        ready = await front.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "reason": "busy"})
        text = (await front.unix.get("/metrics")).text
        assert "voicedeploy_sessions_active 4.0" in text
        assert 'voicedeploy_requests_refused_total{code="busy"} 16.0' in text


async def test_the_eleventh_start_in_a_minute(folder: Path) -> None:
    tables = {"access": {"starts_per_minute": 10, "public": True}, "pool": {"max": 12}}
    async with running(write_config(folder, tables)) as front:

        async def start() -> httpx.Response:
            token = (await front.http.post("/token", json={})).json()["token"]
            return await front.http.post("/start", json={}, headers={"Authorization": f"Bearer {token}"})

        for _ in range(10):
            assert (await start()).status_code == 200
        eleventh = await start()
        assert (eleventh.status_code, eleventh.json()["error"]["code"]) == (429, "too-many-starts")
        assert 50 <= int(eleventh.headers["retry-after"]) <= 60
        # The holder of the key is not limited.
        assert (await front.http.post("/start", json={}, headers=BEARER)).status_code == 200
        answers = [await front.http.post("/start", json={}) for _ in range(60)]
        assert answers[0].status_code == 401
        assert answers[-1].status_code == 429


async def test_the_one_open_default(folder: Path) -> None:
    async with running(write_config(folder, {"access": {"open_on_loopback": True}})) as front:
        _, port = address(front)
        assert (await front.http.post("/start", json={})).status_code == 200
        assert (await front.http.post("/token", json={})).status_code == 200
        same = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
        assert (await front.http.post("/start", json={}, headers=same)).status_code == 200
        for headers, status in (
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}, 401),
            ({"Host": "evil.example"}, 401),
            ({"X-Forwarded-For": "198.51.100.1"}, 401),
            ({"Forwarded": "for=198.51.100.1"}, 401),
        ):
            answer = await front.http.post("/start", json={}, headers=headers)
            assert answer.status_code == status, headers
        # Reading and governing need the key here too.
        assert (await front.http.get("/status")).status_code == 401
        assert (await front.http.post("/drain", json={})).status_code == 401
        assert (await front.http.post("/token", json={"kind": "invite"})).status_code == 401
        assert (await front.status())["slots"]["busy"] == 2


async def test_foreign_pages(folder: Path) -> None:
    async with running(write_config(folder, {"access": {"origins": ["https://app.example"]}})) as front:
        evil = BEARER | {"Origin": "https://evil.example"}
        for answer in (
            await front.http.post("/start", json={}, headers=evil),
            await front.http.patch("/api/offer", json={}, headers=evil),
            await front.http.delete("/sessions/x", headers=evil),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin")
        good = await front.http.post("/start", json={}, headers=BEARER | {"Origin": "https://app.example"})
        assert good.status_code == 200
        assert good.headers["access-control-allow-origin"] == "https://app.example"
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PATCH"}
        asked["Access-Control-Request-Headers"] = "authorization,content-type"
        preflight = await front.http.options("/api/offer", headers=asked)
        assert preflight.status_code == 200
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        refused = await front.http.options("/api/offer", headers=asked | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers


async def test_a_trusted_proxy_speaks_for_its_clients(folder: Path) -> None:
    tables = {"access": {"starts_per_minute": 1, "public": True, "trusted_proxies": ["127.0.0.0/8"]}}
    async with running(write_config(folder, tables)) as front:

        async def start(client: str) -> int:
            token = (await front.http.post("/token", json={})).json()["token"]
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": client}
            return (await front.http.post("/start", json={}, headers=headers)).status_code

        assert [await start("198.51.100.1"), await start("198.51.100.1")] == [200, 429]
        assert [await start("198.51.100.2"), await start("6.6.6.6, 198.51.100.2")] == [200, 429]


@pytest.mark.parametrize(
    ("path", "content", "word"),
    [
        ("/start", b"{", "not JSON"),
        ("/start", b"[]", "not a JSON object"),
        ("/start", b"[" * 100_000, "not JSON"),
        ("/start", b'{"body": 1}', "body: "),
        ("/start", b'{"transport": "daily"}', "webrtc, not daily"),
        ("/api/offer", b"{}", "sdp: "),
        ("/api/offer", b'{"sdp": "v=0", "type": "answer"}', "type: "),
        ("/token", b'{"kind": "invite", "ttl_s": -1}', "ttl_s: "),
    ],
)
async def test_bad_requests_name_the_field(web: Running, path: str, content: bytes, word: str) -> None:
    answer = await web.http.post(path, content=content, headers=BEARER)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


@pytest.fixture
async def web(folder: Path) -> AsyncIterator[Running]:
    async with running(write_config(folder, {})) as front:
        yield front


async def test_oversized_bodies_are_refused_unread(web: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _ = address(web)
    head = f"POST /start HTTP/1.1\r\nHost: {host}\r\n".encode()
    # Announced, and not one byte of it sent.
    answer = await asyncio.to_thread(raw, web, head + b"Content-Length: 9999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    # Announced and sent: the sender learns why.
    large = await web.http.post("/start", content=b"x" * (4 << 20))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too-large")
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1 << 16
            yield b"x" * (1 << 16)

    # Not announced, and without an end.
    with pytest.raises(httpx.TransportError):
        await web.http.post("/start", content=endless())
    assert sent < 64 << 20
    # And a body that was announced and never comes.
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.2)
    late = await asyncio.to_thread(raw, web, head + b"Content-Length: 10\r\n\r\n{")
    assert late.startswith(b"HTTP/1.1 408 ")
    assert (await web.http.get("/livez")).status_code == 200
    assert (await web.status())["slots"]["busy"] == 0


async def test_slow_and_endless_headers(web: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEADERS_TIMEOUT_S", 0.3)

    def slow(prelude: bytes) -> float:
        began = time.monotonic()
        with socket.create_connection(address(web), timeout=5) as sock:
            sock.sendall(prelude)
            while sock.recv(1 << 16):
                pass
        return time.monotonic() - began

    def reset(prelude: bytes) -> float:
        try:
            return slow(prelude)
        except ConnectionResetError:
            return 0.0

    # Nothing at all; half a request; a whole one, then half of a second.
    assert await asyncio.to_thread(reset, b"") < 2
    assert await asyncio.to_thread(reset, b"GET /livez HTTP/1.1\r\nX-A: ") < 2
    assert await asyncio.to_thread(reset, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /li") < 2
    endless = b"GET /livez HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000))
    assert (await asyncio.to_thread(raw, web, endless)).startswith(b"HTTP/1.1 431 ")
    assert (await web.http.get("/livez")).status_code == 200


async def test_one_address_has_so_many_connections(web: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "is_loopback", lambda peer: False)
    monkeypatch.setattr(guard, "CONNECTIONS_PER_ADDRESS", 5)
    socks = [socket.create_connection(address(web)) for _ in range(12)]
    try:
        await asyncio.sleep(0.1)
        open_ones = 0
        for sock in socks:
            sock.setblocking(False)
            try:
                sock.recv(1)
            except BlockingIOError:
                open_ones += 1
            except ConnectionResetError:
                pass
        assert 0 < open_ones <= 5
    finally:
        for sock in socks:
            sock.close()


async def test_no_way_out_of_the_page_s_folder(web: Running) -> None:
    (web.config.bot.project / "secret.txt").write_text("hush")
    for path in (
        "/assets/../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/config.py",
        "/assets/..%5c..%5cconfig.py",
        "/assets//etc/passwd",
        "/assets/%00",
        "/assets/",
        "/assets/.",
        "/sessions/..%2f..%2fstatus/api/offer",
        "/../key",
    ):
        answer = await asyncio.to_thread(raw, web, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")), (path, answer[:200])
        assert b"root:" not in answer


async def test_the_page(web: Running) -> None:
    answer = await web.http.get("/page.json")
    assert (answer.status_code, answer.json()) == (200, {"name": "parrot", "transport": "webrtc"})
    index = await web.http.get("/")
    if not (PAGE / "index.html").is_file():
        assert (index.status_code, index.json()["error"]["code"]) == (404, "not-found")
        return
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    policy = index.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert index.headers["x-content-type-options"] == "nosniff"
    assert index.headers["cache-control"] == "no-cache"
    again = await web.http.get("/", headers={"If-None-Match": index.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for asset in (PAGE / "assets").iterdir():
        answer = await web.http.get(f"/assets/{asset.name}")
        assert (answer.status_code, answer.content) == (200, asset.read_bytes())
        if asset.suffix == ".js":
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_the_client_s_ice_servers(folder: Path) -> None:
    server = {"urls": ["turn:t.example:3478"], "username": "u", "credential": "c"}
    async with running(write_config(folder, {"transport": {"ice_servers": [server]}})) as front:
        answer = await front.http.post("/start", json={"enableDefaultIceServers": True}, headers=BEARER)
        assert answer.json()["iceConfig"] == {"iceServers": [server]}


async def test_where_only_a_relay_is_wanted_the_client_is_told(folder: Path) -> None:
    server = {"urls": ["turn:t.example:3478"], "username": "u", "credential": "c"}
    transport = {"ice_servers": [server], "relay_only": True}
    async with running(write_config(folder, {"transport": transport})) as front:
        answer = await front.http.post("/start", json={"enableDefaultIceServers": True}, headers=BEARER)
        assert answer.json()["iceConfig"] == {"iceServers": [server], "iceTransportPolicy": "relay"}


async def test_a_default_ice_server_for_who_asks(web: Running) -> None:
    answer = await web.http.post("/start", json={"enableDefaultIceServers": True}, headers=BEARER)
    assert list(answer.json()["iceConfig"]["iceServers"][0]) == ["urls"]
    answer = await web.http.post("/start", content=b"", headers=BEARER)
    assert list(answer.json()) == ["sessionId"]


async def test_status_metrics_and_log_of_a_call(web: Running) -> None:
    id, _ = await web.call(latency=True, print="2026-11-21 03:00:00.000 | ERROR    | bot:x:1 - ouch")
    await until(lambda: bool(web.log("latency", session=id)) and bool(web.log("output", session=id)))
    line = web.log("output", session=id)[0]
    assert (line["level"], line["text"][-4:]) == ("error", "ouch")
    assert web.log("latency")[0]["segments"] == {"llm_inference": 100.0, "made up": 1.0}
    text = (await web.http.get("/metrics", headers=BEARER)).text
    for sample in (
        "voicedeploy_slots 4.0",
        "voicedeploy_sessions_active 1.0",
        "voicedeploy_sessions_started_total 1.0",
        "voicedeploy_first_word_seconds_count 1.0",
        "voicedeploy_voice_to_voice_seconds_sum 0.31",
        'voicedeploy_voice_to_voice_segment_seconds_count{segment="llm_inference"} 1.0',
        'voicedeploy_voice_to_voice_segment_seconds_count{segment="other"} 1.0',
        'voicedeploy_release_info{bot="parrot",release="r1"} 1.0',
    ):
        assert sample in text, sample
    status = (await web.http.get("/status", headers=BEARER)).json()
    assert status["release"] == "r1"
    assert status["pipecat"] == "1.14.0"
    assert status["transport"] == "webrtc"
    assert status["slots"]["max"] == 4
    assert status["slots"]["busy"] == 1
    assert status["draining"] is False
    assert status["listening"] is True
    assert status["max_duration_s"] == 1800
    assert set(status["sessions"][0]) >= {"id", "started_at", "transport", "pid"}
    await web.http.delete(f"/sessions/{id}")
    await web.ended(id)
    assert 'voicedeploy_sessions_ended_total{reason="client-left"} 1.0' in (await web.unix.get("/metrics")).text
