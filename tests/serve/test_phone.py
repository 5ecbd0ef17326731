"""A carrier's webhook at a real front: who may ask, what it is told, and callers on hold until a bot is live."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element, fromstring

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.serve.conftest import BEARER, FAKE_WORKER, KEY, Running, alive, running, until, write_config
from tests.serve.test_sockets import greet, heard, loud, phone
from voicedeploy.serve.nursery import WORKER
from voicedeploy.serve.phone import CARRIERS, desk, telnyx
from voicedeploy.serve.phone.desk import POLL_S
from voicedeploy.serve.tokens import Tokens

BOT = (Path(__file__).parent / "bots" / "bot.py").read_text()
TELNYX = Ed25519PrivateKey.generate()
SECRETS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0" * 32,
    "TELNYX_API_KEY": "0",
    "TELNYX_PUBLIC_KEY": base64.b64encode(TELNYX.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode(),
    "PLIVO_AUTH_ID": "MA" + "0" * 18,
    "PLIVO_AUTH_TOKEN": "1" * 32,
}
PUBLIC = "https://bot.example.org"
# So long Twilio and Plivo wait for a webhook.
CARRIERS_WAIT_S = 15


def config(
    folder: Path,
    kind: str = "twilio",
    /,
    secrets: Mapping[str, str] = SECRETS,
    release: str = "r1",
    bot: str = BOT,
    **tables: Any,
) -> Path:
    file = folder / "secrets"
    file.write_text(json.dumps(secrets))
    file.chmod(0o600)
    more = {"transport": {"kind": kind}, "bot": {"env_file": "secrets"}, "pool": {"max": 2}}
    return write_config(folder, more | tables, bot=bot, release=release)


@asynccontextmanager
async def quick(file: Path) -> AsyncIterator[Running]:
    """A front whose bots are not needed."""
    async with running(file, worker=FAKE_WORKER) as front:
        yield front


@dataclass
class Answer:
    """What the carrier was told."""

    status: int
    text: str

    @property
    def xml(self) -> Element:
        assert self.status == 200, self.text
        return fromstring(self.text)  # noqa: S314  (our own)

    @property
    def socket(self) -> str:
        """The address of the media socket; "" is none."""
        found = self.xml.find(".//Stream")
        return "" if found is None else found.get("url") or found.text or ""

    @property
    def again(self) -> str:
        """The path that the caller on hold is sent to; "" is none."""
        found = self.xml.find("Redirect")
        return "" if found is None else urlsplit(found.text or "").path

    @property
    def code(self) -> str:
        return str(json.loads(self.text)["error"]["code"])


@dataclass
class Carrier:
    """Rings, by the rules of `kind`. `base` is the address that it believes to call."""

    front: Running
    kind: str = "twilio"
    base: str = ""

    async def ring(
        self, call: str = "CA1", path: str = "/phone", headers: Mapping[str, str] | None = None, **fields: str
    ) -> Answer:
        form = [("CallUUID" if self.kind == "plivo" else "CallSid", call), ("From", "+14155550100"), ("To", "+1415")]
        return await self.send([*form, *fields.items()], path, headers or {})

    async def send(self, form: list[tuple[str, str]], path: str, headers: Mapping[str, str]) -> Answer:
        body = urlencode(form).encode()
        signed = self._sign(form, path, body)
        content = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self.front.http.post(path, content=body, headers={**content, **signed, **headers})
        return Answer(answer.status_code, answer.text)

    def _sign(self, form: list[tuple[str, str]], path: str, body: bytes) -> dict[str, str]:
        if self.kind == "telnyx":
            stamp = str(int(time.time()))
            signature = base64.b64encode(TELNYX.sign(stamp.encode() + b"|" + body)).decode()
            return {telnyx.TIMESTAMP: stamp, telnyx.SIGNATURE: signature}
        carrier = CARRIERS[self.kind]
        base = self.base or str(self.front.http.base_url).rstrip("/")
        return carrier.sign(SECRETS[carrier.SIGNING_SECRET], f"{base}{path}", form)


async def busy(front: Running) -> int:
    return int((await front.status())["slots"]["busy"])


async def on_hold(front: Running) -> int:
    text = (await front.unix.get("/metrics")).text
    return int(float(text.partition("\nvoicedeploy_callers_on_hold ")[2].partition("\n")[0]))


def plain(socket: str) -> str:
    """The media socket, without the TLS that a proxy would take off."""
    assert socket.startswith("wss://")
    return "ws" + socket.removeprefix("wss")


# Who may


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_carrier_s_call_gets_a_socket_of_its_own(folder: Path, kind: str) -> None:
    async with quick(config(folder, kind)) as front:
        carrier = Carrier(front, kind)
        first, second = await carrier.ring("one"), await carrier.ring("two")
        ids = {session["id"] for session in (await front.status())["sessions"]}
        where = f"wss://{front.http.base_url.netloc.decode()}/ws/"
        assert {first.socket, second.socket} == {where + id for id in ids}
        assert len(ids) == 2
        assert "?" not in first.socket


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_stranger_gets_nothing(folder: Path, kind: str) -> None:
    async with quick(config(folder, kind)) as front:
        wrong = {
            "x-twilio-signature": "AAAA",
            "x-plivo-signature-v3": "AAAA",
            telnyx.SIGNATURE: base64.b64encode(b"0" * 64).decode(),
        }
        answer = await Carrier(front, kind).ring(headers=wrong)
        assert (answer.status, answer.code) == (403, "bad-signature")
        for path in ("/phone", "/phone/hold/1", "/phone/status"):
            none = await front.http.post(path, data={"CallSid": "CA1", "CallUUID": "CA1"})
            assert none.status_code == 403
        assert await busy(front) == 0
        assert front.log("phone-unsigned")


async def test_strangers_tries_are_counted_and_carriers_are_not(folder: Path) -> None:
    async with quick(config(folder, access={"starts_per_minute": 1})) as front:
        statuses = [(await front.http.post("/phone", data={"CallSid": "x"})).status_code for _ in range(70)]
        assert statuses[:60] == [403] * 60
        assert set(statuses[60:]) == {429}
        assert (await Carrier(front).ring("one")).socket
        assert (await Carrier(front).ring("two")).socket


async def test_the_key_opens_it_too(folder: Path) -> None:
    async with quick(config(folder, "telnyx")) as front:
        answer = await front.http.post("/phone", data={"CallSid": "check"}, headers=BEARER)
        assert Answer(answer.status_code, answer.text).socket
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"


async def test_without_the_secret_it_is_shut(folder: Path) -> None:
    async with quick(config(folder, secrets={"TWILIO_ACCOUNT_SID": "AC"})) as front:
        answer = await Carrier(front).ring()
        assert (answer.status, answer.code) == (503, "no-signing-secret")
        assert "TWILIO_AUTH_TOKEN" in answer.text
        assert (await front.http.post("/phone", data={"CallSid": "x"}, headers=BEARER)).status_code == 503
        assert front.log("phone-closed", missing="TWILIO_AUTH_TOKEN")
        assert await busy(front) == 0


async def test_no_phone_where_the_transport_is_none(folder: Path) -> None:
    async with quick(config(folder, "webrtc")) as front:
        answer = await front.http.post("/phone", data={"CallSid": "CA1"})
        assert answer.status_code == 404


async def test_a_form_that_names_no_call(folder: Path) -> None:
    async with quick(config(folder)) as front:
        answer = await Carrier(front).send([("From", "+1")], "/phone", {})
        assert (answer.status, answer.code) == (400, "bad-request")


# Behind a proxy

FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-host": "bot.example.org"}


async def test_headers_of_a_stranger_change_no_signature(folder: Path) -> None:
    async with quick(config(folder)) as front:
        spoofed = await Carrier(front, base=PUBLIC).ring("one", headers=FORWARDED)
        assert (spoofed.status, spoofed.code) == (403, "bad-signature")
        right = await Carrier(front).ring("two", headers=FORWARDED)
        assert urlsplit(right.socket).netloc == front.http.base_url.netloc.decode()


async def test_a_trusted_proxy_says_what_the_carrier_called(folder: Path) -> None:
    async with quick(config(folder, access={"trusted_proxies": ["127.0.0.0/8"]})) as front:
        answer = await Carrier(front, base=PUBLIC).ring(headers=FORWARDED)
        assert answer.socket.startswith("wss://bot.example.org/ws/")
        # What a client had written stands before what the proxy wrote.
        chained = {"x-forwarded-proto": "http, https", "x-forwarded-host": "evil.example, bot.example.org"}
        assert (await Carrier(front, base=PUBLIC).ring(headers=chained)).socket == answer.socket
        evil = await Carrier(front, base="https://evil.example").ring("two", headers=chained)
        assert evil.status == 403


async def test_the_configured_address_counts_whatever_anybody_says(folder: Path) -> None:
    access = {"public_url": PUBLIC + "/", "trusted_proxies": ["127.0.0.0/8"]}
    async with quick(config(folder, access=access)) as front:
        other = {"x-forwarded-proto": "http", "x-forwarded-host": "other.example"}
        answer = await Carrier(front, base=PUBLIC).ring(headers=other)
        assert answer.socket.startswith("wss://bot.example.org/ws/")
        assert (await Carrier(front, base="http://other.example").ring("two", headers=other)).status == 403
        assert (await Carrier(front).ring("three")).status == 403


# Once only


async def test_a_webhook_that_comes_again_takes_no_second_slot(folder: Path) -> None:
    async with quick(config(folder, pool={"max": 1})) as front:
        answers = await asyncio.gather(*(Carrier(front).ring("CA7") for _ in range(5)))
        assert len({answer.socket for answer in answers}) == 1
        assert await busy(front) == 1


async def test_a_webhook_that_is_played_again_opens_nothing(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        carrier = Carrier(front)
        socket = plain((await carrier.ring()).socket)
        async with phone(socket, "CA1") as line:
            assert loud(await heard(line))
            again = await carrier.ring()
            assert (again.status, again.code) == (403, "replayed")
            with pytest.raises(InvalidStatus):
                await connect(socket, proxy=None)
            assert await busy(front) == 1
        await until(lambda: bool(front.log("ended")))
        again = await carrier.ring()
        assert (again.status, again.code) == (403, "replayed")
        assert await busy(front) == 0


async def test_hanging_up_before_the_socket_frees_the_slot(folder: Path) -> None:
    async with quick(config(folder)) as front:
        await Carrier(front).ring()
        assert await busy(front) == 1
        # Carriers tell more than that a call is over; none of it starts anything.
        for status in ("ringing", "in-progress"):
            assert len((await Carrier(front).ring("CA9", "/phone/status", CallStatus=status)).xml) == 0
        assert await busy(front) == 1
        over = await Carrier(front).ring("CA1", "/phone/status", CallStatus="completed")
        assert len(over.xml) == 0
        await until(lambda: bool(front.log("ended", reason="client-left")))
        assert await busy(front) == 0


# On hold


async def test_from_hold_to_a_live_bot(folder: Path) -> None:
    said = {"hold": "Please hold the line.", "language": "en-GB"}
    async with running(config(folder, pool={"max": 1}, phone=said), worker=WORKER) as front:
        carrier = Carrier(front)
        async with phone(plain((await carrier.ring("CA1")).socket), "CA1") as first:
            await heard(first)
            pid = (await front.status())["sessions"][0]["pid"]
            began = time.monotonic()
            waiting = await carrier.ring("CA2")
            assert time.monotonic() - began < 1
            assert waiting.xml[0].text == "Please hold the line."
            assert waiting.xml[0].get("language") == "en-GB"
            assert await on_hold(front) == 1
            asking = asyncio.create_task(carrier.ring("CA2", waiting.again))
            await asyncio.sleep(0.5)
            assert not asking.done()
            began = time.monotonic()
        connected = await asking
        assert time.monotonic() - began < 3
        assert not alive(pid)
        async with phone(plain(connected.socket), "CA2") as second:
            assert loud(await heard(second))
            assert await on_hold(front) == 0


async def test_hold_is_said_again_before_the_carrier_gives_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert POLL_S < CARRIERS_WAIT_S / 1.5
    monkeypatch.setattr(desk, "POLL_S", 1.0)
    async with quick(config(folder, pool={"max": 1})) as front:
        carrier = Carrier(front)
        await carrier.ring("CA1")
        path = (await carrier.ring("CA2")).again
        began = time.monotonic()
        again = await carrier.ring("CA2", path)
        assert 1 <= time.monotonic() - began < 8
        assert again.again == path


async def test_first_come_first_served(folder: Path) -> None:
    async with quick(config(folder, pool={"max": 1})) as front:
        carrier = Carrier(front)
        live = await carrier.ring("CA1")
        paths = {call: (await carrier.ring(call)).again for call in ("CA2", "CA3")}
        asking = {call: asyncio.create_task(carrier.ring(call, path)) for call, path in reversed(paths.items())}
        await asyncio.sleep(0.3)
        # Nobody new is let past them.
        await front.http.delete(f"/sessions/{live.socket.rpartition('/')[2]}")
        late = await carrier.ring("CA4")
        assert not late.socket
        assert (await asking["CA2"]).socket
        assert await busy(front) == 1
        assert not asking["CA3"].done()
        assert await on_hold(front) == 2
        asking["CA3"].cancel()


async def test_patience_has_an_end(folder: Path) -> None:
    phone = {"patience_s": 1, "sorry": "Nobody is free."}
    async with quick(config(folder, pool={"max": 1}, phone=phone)) as front:
        carrier = Carrier(front)
        await carrier.ring("CA1")
        path = (await carrier.ring("CA2")).again
        sorry = await carrier.ring("CA2", path)
        assert [child.tag for child in sorry.xml] == ["Say", "Hangup"]
        assert sorry.xml[0].text == "Nobody is free."
        assert await on_hold(front) == 0
        assert front.log("phone-gave-up", call="CA2")


async def test_who_hangs_up_on_hold_leaves_the_queue(folder: Path) -> None:
    async with quick(config(folder, pool={"max": 1})) as front:
        carrier = Carrier(front)
        await carrier.ring("CA1")
        await carrier.ring("CA2")
        assert await on_hold(front) == 1
        await carrier.ring("CA2", CallStatus="completed")
        assert await on_hold(front) == 0
        path = (await carrier.ring("CA3")).again
        with pytest.raises(httpx.ReadTimeout):
            await front.http.post(path, timeout=0.5, **_signed(carrier, "CA3", path))
        # A carrier that closes the request has no caller any more either.
        deadline = time.monotonic() + 5
        while await on_hold(front):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def _signed(carrier: Carrier, call: str, path: str) -> Any:
    form = [("CallSid", call)]
    body = urlencode(form).encode()
    return {"content": body, "headers": carrier._sign(form, path, body)}


async def test_a_bot_that_cannot_start_is_no_reason_to_hold(folder: Path) -> None:
    async with running(config(folder, bot="fail\n"), ready=False, worker=WORKER) as front:
        carrier = Carrier(front)
        path = (await carrier.ring("CA1")).again
        assert path, "it may still start"
        sorry = await carrier.ring("CA1", path)
        assert [child.tag for child in sorry.xml] == ["Say", "Hangup"]
        assert front.log("phone-refused", call="CA1", reason="failed")


async def test_a_deploy_while_somebody_holds(folder: Path, free_port: int) -> None:
    listen = {"port": free_port, "socket": "r1.sock"}
    async with running(config(folder, pool={"max": 1}, listen=listen), worker=FAKE_WORKER) as old:
        carrier = Carrier(old)
        await carrier.ring("CA1")
        path = (await carrier.ring("CA2")).again
        asking = asyncio.create_task(carrier.ring("CA2", path))
        await asyncio.sleep(0.3)
        file = config(folder, release="r2", pool={"max": 1}, listen=listen | {"socket": "r2.sock"}, peers=["r1.sock"])
        async with running(file, worker=FAKE_WORKER) as new:
            began = time.monotonic()
            assert (await old.unix.post("/drain", json={"release_port": True})).status_code == 200
            told = await asking
            assert time.monotonic() - began < 2
            assert told.again == path
            # The redirect leads to the port, and that is the new release's.
            connected = await Carrier(new).ring("CA2", told.again)
            assert connected.socket
            assert await busy(new) == 1
            assert await busy(old) == 1


# What is said before


async def test_a_greeting_while_the_bot_is_got_ready(folder: Path) -> None:
    async with quick(config(folder, phone={"greeting": "One moment.", "voice": "Polly.Amy"})) as front:
        answer = await Carrier(front).ring()
        assert [child.tag for child in answer.xml] == ["Say", "Connect"]
        assert (answer.xml[0].text, answer.xml[0].get("voice")) == ("One moment.", "Polly.Amy")


async def test_the_bot_knows_who_calls(folder: Path) -> None:
    async with quick(config(folder)) as front:
        answer = await Carrier(front).ring()
        told = await front.offer(answer.socket.rpartition("/")[2])
        body = json.loads(told.json()["sdp"])["session"]["body"]
        assert body == {"call_id": "CA1", "from_number": "+14155550100", "to_number": "+1415"}


# A line that needs no webhook


async def test_a_line_leads_straight_to_a_bot(folder: Path) -> None:
    async with running(config(folder, "exotel"), worker=WORKER) as front:
        base = str(front.http.base_url).replace("http", "ws", 1).rstrip("/")
        url = f"{base}/ws/line/{Tokens(KEY).line()}"
        for _ in range(2):
            async with connect(url, proxy=None) as socket:
                start = {"stream_sid": "s", "call_sid": "c", "account_sid": "a", "from": "+1", "to": "+2"}
                await socket.send(json.dumps({"event": "connected"}))
                await socket.send(json.dumps({"event": "start", "stream_sid": "s", "start": start}))
                await until(lambda: bool(front.log("bot-started")))
                assert await busy(front) == 1
            await until(lambda: bool(front.log("ended")))
        with pytest.raises(InvalidStatus) as error:
            await connect(f"{base}/ws/line/{Tokens('q' * 40).line()}", proxy=None)
        assert error.value.response.status_code == 403
        assert (await front.http.get("/ws/line/x")).status_code == 426


async def test_no_line_for_carriers_that_ask_first(folder: Path) -> None:
    async with quick(config(folder)) as front:
        base = str(front.http.base_url).replace("http", "ws", 1).rstrip("/")
        with pytest.raises(InvalidStatus) as error:
            await connect(f"{base}/ws/line/{Tokens(KEY).line()}", proxy=None)
        assert error.value.response.status_code == 404


async def test_the_first_word_comes_soon_after_the_pick_up(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        began = time.monotonic()
        async with phone(plain((await Carrier(front).ring()).socket), "CA1") as line:
            while not loud(await heard(line, 0.1)):
                assert time.monotonic() - began < 3
            assert time.monotonic() - began < 3


async def test_two_callers_have_two_bots(folder: Path) -> None:
    async with running(config(folder), worker=WORKER) as front:
        carrier = Carrier(front)
        one, two = await asyncio.gather(carrier.ring("CA1"), carrier.ring("CA2"))
        async with connect(plain(one.socket), proxy=None) as first, connect(plain(two.socket), proxy=None) as second:
            await asyncio.gather(greet(first, "CA1"), greet(second, "CA2"))
            sounds = await asyncio.gather(heard(first), heard(second))
            assert all(loud(sound) for sound in sounds)
            pids = {session["pid"] for session in (await front.status())["sessions"]}
            assert len(pids) == 2
