"""Calls over WebSockets: a real front, the real worker, and a client that is nobody's friend."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.serve.conftest import BEARER, Running, alive, running, until, write_config
from voicedeploy.serve.nursery import WORKER

BOT = (Path(__file__).parent / "bots" / "bot.py").read_text()
CARRIER = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "0" * 32}
SILENCE = base64.b64encode(b"\xff" * 160).decode()


def config(folder: Path, kind: str = "twilio", /, **tables: Any) -> Path:
    secrets = folder / "secrets"
    secrets.write_text(json.dumps(CARRIER))
    secrets.chmod(0o600)
    more = {"transport": {"kind": kind}, "bot": {"env_file": "secrets"}, "pool": {"max": 2}}
    return write_config(folder, more | tables, bot=BOT)


async def begin(front: Running, **body: Any) -> tuple[str, str]:
    answer = await front.http.post("/start", json={"body": body}, headers=BEARER)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return said["sessionId"], said["wsUrl"]


@asynccontextmanager
async def phone(url: str, call: str = "CA1", **how: Any) -> AsyncIterator[ClientConnection]:
    """A carrier's socket that has said what carriers say first."""
    async with connect(url, proxy=None, **how) as socket:
        await greet(socket, call)
        yield socket


async def greet(socket: ClientConnection, call: str) -> None:
    start = {
        "streamSid": "MZ1", "callSid": call, "customParameters": {},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }  # fmt: skip
    await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    await socket.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": start}))


async def heard(socket: ClientConnection, seconds: float = 0.4) -> bytes:
    """So much of the bot's sound, while the caller is silent."""
    sound = b""
    async with asyncio.timeout(15):
        while len(sound) < seconds * 8000:
            message = json.loads(await socket.recv())
            if message["event"] == "media":
                sound += base64.b64decode(message["media"]["payload"])
                await socket.send(json.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": SILENCE}}))
    return sound


def loud(sound: bytes) -> bool:
    # The hum is at -9 dBFS; in µ-law, silence is 0xff or 0x7f and loud samples are far from both.
    return sum(min(abs(b - 0xFF), abs(b - 0x7F)) > 40 for b in sound) > len(sound) / 4


async def test_a_phone_call_is_heard(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        id, url = await begin(front)
        assert url == f"ws://{front.http.base_url.netloc.decode()}/ws/{id}"
        async with phone(url) as socket:
            assert loud(await heard(socket))
            session = (await front.status())["sessions"][0]
            assert (session["state"], session["transport"]) == ("connected", "twilio")
            # The connection is the call's process's own: the front holds no end of it.
            ours = socket.transport.get_extra_info("sockname")
            await until(lambda: not [c for c in _connections() if c.raddr and c.raddr[1] == ours[1]])
        ended = await front.ended(id)
        assert ended["reason"] == "client-left"
        assert (await front.status())["slots"]["busy"] == 0


def _connections() -> list[Any]:
    import psutil

    return [c for c in psutil.Process().net_connections("tcp") if c.laddr and c.status == "ESTABLISHED" and c.raddr]


async def test_hanging_up_ends_the_call_at_once(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        id, url = await begin(front)
        async with phone(url) as socket:
            await heard(socket)
            pid = (await front.status())["sessions"][0]["pid"]
            began = time.monotonic()
            # The line is dead, without a word.
            socket.transport.abort()
            await front.ended(id)
            assert time.monotonic() - began < 3
            assert not alive(pid)


async def test_a_session_has_one_socket(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        id, url = await begin(front)
        async with phone(url) as socket:
            await heard(socket)
            with pytest.raises(InvalidStatus) as error:
                await connect(url, proxy=None)
            assert error.value.response.status_code == 409
            assert json.loads(error.value.response.body or b"")["error"]["code"] == "taken"
            await heard(socket)
        await front.ended(id)
        with pytest.raises(InvalidStatus) as error:
            await connect(url, proxy=None)
        assert error.value.response.status_code == 404


async def test_strangers_and_foreign_pages_get_no_socket(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        base = f"ws://{front.http.base_url.netloc.decode()}"
        for path in ("/ws/00000000-0000-4000-8000-000000000000", "/ws/..%2fstart", "/ws/x", "/nowhere", "/start"):
            with pytest.raises(InvalidStatus) as error:
                await connect(base + path, proxy=None)
            assert error.value.response.status_code in (404, 405), path
        id, url = await begin(front)
        with pytest.raises(InvalidStatus) as error:
            await connect(url, proxy=None, origin="https://elsewhere.example")  # type: ignore[arg-type]
        assert error.value.response.status_code == 403
        plain = await front.http.get(f"/ws/{id}")
        assert (plain.status_code, plain.json()["error"]["code"]) == (426, "upgrade-required")
        # Nothing of this has spent the session.
        async with phone(url) as socket:
            assert loud(await heard(socket))


async def test_nobody_opens_the_socket(folder: Path) -> None:
    async with running(config(folder, session={"offer_timeout_s": 0.3}), worker=WORKER) as front:
        id, url = await begin(front)
        assert (await front.ended(id))["reason"] == "no-offer"
        with pytest.raises(InvalidStatus):
            await connect(url, proxy=None)


async def test_two_callers_at_once(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        calls = [await begin(front), await begin(front)]
        busy = await front.http.post("/start", json={}, headers=BEARER)
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "busy")

        async def one(url: str) -> bool:
            async with phone(url) as socket:
                return loud(await heard(socket, 1.0))

        assert await asyncio.gather(*(one(url) for _, url in calls)) == [True, True]


async def test_nonsense_hurts_only_its_own_call(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        (first, url), (second, other) = await begin(front), await begin(front)
        async with phone(url) as socket:
            await heard(socket)
            async with connect(other, proxy=None) as bad:
                await bad.send("{not json")
                await bad.send(b"\x00" * 1000)
                with pytest.raises(ConnectionClosed):
                    while True:
                        await asyncio.wait_for(bad.recv(), 15)
            await front.ended(second)
            async with phone((await begin(front))[1]) as third:
                transport = third.transport
                transport.write(b"\xff" * 100)  # no frame of the protocol
                await asyncio.wait_for(third.wait_closed(), 15)
            await heard(socket)
        assert (await front.ended(first))["reason"] == "client-left"


async def test_a_drain_waits_for_a_call_and_its_deadline_ends_it(folder: Path) -> None:
    async with running(config(folder, drain={"timeout_s": 1.5}), worker=WORKER) as front:
        id, url = await begin(front)
        async with phone(url) as socket:
            await heard(socket)
            await front.unix.post("/drain", json={"release_port": True})
            await heard(socket)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await asyncio.wait_for(socket.recv(), 15)
            assert closed.value.rcvd and closed.value.rcvd.code == 1001
        assert (await front.ended(id))["reason"] == "drain"
        assert await asyncio.wait_for(front.serving, 15) == 0


UPSTREAM = {"upstream": {"url": "http://127.0.0.1:9", "key": "TWILIO_AUTH_TOKEN", "line": "ws://127.0.0.1:9/ws/twilio"}}


@pytest.mark.parametrize("more", [{}, UPSTREAM], ids=["to bots of its own", "to bots elsewhere"])
async def test_a_call_begun_just_before_a_switch_reaches_its_release(
    folder: Path, free_port: int, more: dict[str, Any]
) -> None:
    before = config(folder, listen={"port": free_port})
    listen = {"port": free_port, "hold": True}
    after = write_config(
        folder,
        {
            "transport": {"kind": "twilio"},
            "bot": {"env_file": "secrets"},
            "listen": listen,
            "peers": ["r1.sock"],
            **more,
        },
        bot=BOT,
        release="r2",
    )
    async with running(before, worker=WORKER) as old, running(after, worker=WORKER) as new:
        id, url = await begin(old)
        await new.unix.post("/open", json={})
        await old.unix.post("/drain", json={"release_port": True})
        async with phone(url) as socket:
            assert loud(await heard(socket))
            assert [s["id"] for s in (await old.status())["sessions"]] == [id]
            assert (await new.status())["slots"]["busy"] == 0
            # The new release may not end before the call that goes through it.
            await new.unix.post("/drain", json={"release_port": True})
            await heard(socket)
            assert not new.serving.done()
        assert (await old.ended(id))["reason"] == "client-left"
        assert await asyncio.wait_for(new.serving, 15) == 0
        assert await asyncio.wait_for(old.serving, 15) == 0


async def test_over_the_private_door(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        answer = await front.unix.post("/start", json={})
        path = f"/ws/{answer.json()['sessionId']}"
        async with unix_connect(str(front.config.listen.socket), uri=f"ws://front{path}") as socket:
            await greet(socket, "CA2")
            assert loud(await heard(socket))


async def test_the_address_behind_a_proxy(folder: Path) -> None:
    async def address(access: dict[str, Any], headers: dict[str, str]) -> str:
        tables = {"transport": {"kind": "twilio"}, "access": access}
        async with running(write_config(folder, tables)) as front:
            answer = await front.http.post("/start", json={}, headers=BEARER | {"Host": "bot.example.org"} | headers)
            return str(answer.json()["wsUrl"]).rpartition("/ws/")[0]

    told = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example, real.example.org"}
    assert await address({}, {}) == "ws://bot.example.org"
    assert await address({}, told) == "ws://bot.example.org"
    assert await address({"trusted_proxies": ["127.0.0.0/8"]}, told) == "wss://real.example.org"
    assert (
        await address({"trusted_proxies": ["127.0.0.0/8"]}, {"X-Forwarded-Proto": "https"}) == "wss://bot.example.org"
    )
    assert await address({"public_url": "https://a.example/"}, told) == "wss://a.example"


async def test_plain_websocket(folder: Path) -> None:
    async with running(config(folder, "websocket"), worker=WORKER) as front:
        id, url = await begin(front)
        async with connect(url, proxy=None) as socket:
            sound = 0
            async with asyncio.timeout(15):
                while sound < 10_000:
                    message = await socket.recv()
                    assert isinstance(message, bytes)
                    sound += len(message)
        assert (await front.ended(id))["reason"] == "client-left"
