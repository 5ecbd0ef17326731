"""The webhook of a real front, behind a real TLS proxy, asked as a carrier asks."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serve.conftest import BEARER, KEY, Running
from tests.serve.test_phone import SECRETS, busy, config, quick
from voicedeploy.phone.knock import Knock, knock
from voicedeploy.provider import Finding


@dataclass
class Tls:
    """A proxy for one front at `url`, and what trusts it."""

    url: str
    trust: ssl.SSLContext


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "proxy.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def behind_tls(front: Running, folder: Path, *, says: str = "https", port: int = 0) -> AsyncIterator[Tls]:
    """Adds what proxies add to each request; `says` is the scheme that it forwards, "" for none."""
    file = certificate(folder)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(file)
    base = front.http.base_url

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(base.host, base.port)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            extra = f"x-forwarded-proto: {says}\r\nx-forwarded-for: 198.51.100.9\r\n" if says else ""
            back.write(head[:-2] + f"{extra}connection: close\r\n\r\n".encode())
            upwards = asyncio.create_task(_pass_on(reader, back))
            await _pass_on(there, writer)
            upwards.cancel()
        writer.close()
        back.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=server_side)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Tls(f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=file))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def asked(tls: Tls, kind: str = "twilio", **how: str) -> list[Finding]:
    return await asyncio.to_thread(knock, Knock(kind, f"{tls.url}/phone", trust=tls.trust, **how))


def wrong(found: list[Finding]) -> list[str]:
    # 127.0.0.1 is an address that no carrier reaches, and that is said.
    return [finding.code for finding in found if finding.severity != "ok" and finding.code != "VD173"]


TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}


@pytest.mark.parametrize("kind", ["twilio", "plivo"])
async def test_a_front_behind_a_proxy_is_right(folder: Path, kind: str) -> None:
    secret = SECRETS[f"{kind.upper()}_AUTH_TOKEN"]
    async with quick(config(folder, kind, access=TRUSTED)) as front, behind_tls(front, folder) as tls:
        found = await asked(tls, kind, secret=secret)
        assert wrong(found) == []
        assert [finding.message for finding in found if finding.code == "VD173"] == [
            "127.0.0.1: an address that nobody reaches from outside"
        ]
        assert any("answers over TLS" in finding.message for finding in found)
        await _until_free(front)


async def test_only_telnyx_can_sign_for_telnyx_so_the_key_opens(folder: Path) -> None:
    async with quick(config(folder, "telnyx", access=TRUSTED)) as front, behind_tls(front, folder) as tls:
        assert wrong(await asked(tls, "telnyx", secret=SECRETS["TELNYX_PUBLIC_KEY"], key=KEY)) == []
        await _until_free(front)


@pytest.mark.parametrize(
    ("access", "says", "secret"),
    [
        ({}, "https", SECRETS["TWILIO_AUTH_TOKEN"]),  # the proxy is not trusted
        (TRUSTED, "", SECRETS["TWILIO_AUTH_TOKEN"]),  # it is, and says nothing
        (TRUSTED, "https", "another" * 5),
        ({"public_url": "https://other.example.org"}, "https", SECRETS["TWILIO_AUTH_TOKEN"]),
    ],
)
async def test_a_signature_that_is_not_believed(
    folder: Path, access: dict[str, object], says: str, secret: str
) -> None:
    async with quick(config(folder, access=access)) as front, behind_tls(front, folder, says=says) as tls:
        found = await asked(tls, secret=secret)
        assert wrong(found) == ["VD175"]
        assert "the carrier has not signed this request" in found[0].message
        assert await busy(front) == 0


async def test_the_configured_address_makes_it_right(folder: Path, free_port: int) -> None:
    access = {"public_url": f"https://127.0.0.1:{free_port}"}
    async with quick(config(folder, access=access)) as front:
        async with behind_tls(front, folder, says="", port=free_port) as tls:
            assert wrong(await asked(tls, secret=SECRETS["TWILIO_AUTH_TOKEN"])) == []
        await _until_free(front)


async def test_no_secret_and_no_slot(folder: Path) -> None:
    async with quick(config(folder, secrets={}, access=TRUSTED)) as front, behind_tls(front, folder) as tls:
        found = await asked(tls, secret="x")  # noqa: S106
        assert wrong(found) == ["VD176"]
        assert "TWILIO_AUTH_TOKEN is not set" in found[0].message
    async with quick(config(folder, release="r2", access=TRUSTED, pool={"max": 1})) as front:
        await front.http.post("/start", headers=BEARER)
        assert await busy(front) == 1
        async with behind_tls(front, folder) as tls:
            found = await asked(tls, secret=SECRETS["TWILIO_AUTH_TOKEN"])
            assert wrong(found) == ["VD176"]
            assert "no slot is free" in found[0].message


async def test_nobody_there() -> None:
    found = await asyncio.to_thread(knock, Knock("twilio", "https://127.0.0.1:9/phone", "x"))
    assert [finding.code for finding in found] == ["VD176"]


async def test_a_webhook_that_is_open_to_strangers() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            body = b"<Response><Start><Stream url='wss://bot.invalid/ws?token=1'/></Start></Response>"
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        found = await asyncio.to_thread(knock, Knock("twilio", url, "x"))
    assert [finding.code for finding in found] == ["VD177", "VD170", "VD172", "VD173"]


async def _until_free(front: Running) -> None:
    for _ in range(200):
        if not await busy(front):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the check kept its slot")
