"""Whether TURN servers give an address (RFC 8489, RFC 8656), and what they say where not.

With the standard library alone and for Python 3.9: `program` is this file's text with a call behind it, for a
host's Python to read from a pipe. So the secrets of a host are used there and never leave it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import struct
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

COOKIE = 0x2112A442
ALLOCATE, REFRESH, SUCCESS = 0x0003, 0x0004, 0x0100
USERNAME, INTEGRITY, ERROR_CODE, LIFETIME = 0x0006, 0x0008, 0x0009, 0x000D
REALM, NONCE, RELAYED, TRANSPORT = 0x0014, 0x0015, 0x0016, 0x0019
UDP = 17
UNAUTHORIZED, STALE_NONCE = 401, 438
ANSWER_S = 3.0
TRIAL_S = 300
"""How long the credentials made for a trial are good."""
CLOUDFLARE = "https://rtc.live.cloudflare.com"
REFUSALS = (400, 401, 403, 404)
"""What Cloudflare answers where it does not know the key, or not this token for it."""


@dataclass(frozen=True)
class Asked:
    """A server as the spec names it: `secret` is the name of one, `cloudflare` the ID of a key."""

    urls: tuple[str, ...] = ()
    secret: str | None = None
    cloudflare: str | None = None
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Outcome:
    """`kind`: `given` (`said` is the address at the relay), `refused` or `expired` (the credentials), `full` (another
    error, which `said` is), `dead` (why), `no-secret` (`said` is its name: it is not here); of Cloudflare's API
    `no-key` and `no-api`. `url` is the server's, or the key's."""

    url: str
    kind: str
    said: str = ""


def tried(asked: list[Asked], secrets: dict[str, str], api: str = CLOUDFLARE) -> list[Outcome]:
    """Each address is asked for an address, all at once; takes at most twice `ANSWER_S`."""
    with ThreadPoolExecutor(16) as pool:
        found = [one for some in pool.map(lambda server: _ready(server, secrets, api), asked) for one in some]
        return list(pool.map(lambda one: one if isinstance(one, Outcome) else allocate(*one), found))


def _ready(asked: Asked, secrets: dict[str, str], api: str) -> list[Outcome | tuple[str, str, str]]:
    """For each address the name and the password to use there, or why there are none."""
    value = secrets.get(asked.secret or "", "")
    if asked.secret and not value:
        return [Outcome(url, "no-secret", asked.secret) for url in asked.urls or (f"cloudflare {asked.cloudflare}",)]
    if asked.cloudflare:
        return cloudflare(asked.cloudflare, value, api)
    name, word = asked.username or "", asked.credential or ""
    if asked.secret:
        name, word = minted(value, time.time() + TRIAL_S)
    return [(url, name, word) for url in asked.urls]


def minted(secret: str, expires: float) -> tuple[str, str]:
    """Name and password for coturn's `use-auth-secret`, as the front makes them for a call."""
    name = f"{round(expires)}:check"
    return name, base64.b64encode(hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()).decode()


def cloudflare(key: str, token: str, api: str) -> list[Outcome | tuple[str, str, str]]:
    """URL, name and password for each of its addresses, or what it says instead."""
    request = urllib.request.Request(  # noqa: S310 - https, or a test's own
        f"{api}/v1/turn/keys/{key}/credentials/generate-ice-servers",
        json.dumps({"ttl": TRIAL_S}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "User-Agent": "voicedeploy"},
    )
    name = f"cloudflare {key}"
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
            servers = json.load(answer)["iceServers"]
        return [
            (url, server["username"], server["credential"])
            for server in servers
            for url in server["urls"]
            if url.startswith("turn") and ":53?" not in url  # browsers do not go to port 53
        ]
    except urllib.error.HTTPError as error:
        with error:
            kind = "no-key" if error.code in REFUSALS else "no-api"
            return [Outcome(name, kind, f"{error.code} {error.reason}")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [Outcome(name, "no-api", str(getattr(error, "reason", "")) or str(error) or type(error).__name__)]


# --- one server -------------------------------------------------------------------------------------


class Silent(Exception):
    """No answer, or none that is STUN."""


def allocate(url: str, username: str, credential: str) -> Outcome:
    """Asks for an address and gives it back."""
    found = re.fullmatch(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?", url)
    if not found:
        return Outcome(url, "dead", "this is no address of a TURN server")
    scheme, host, port, transport = found.groups()
    way = "tls" if scheme == "turns" else transport or "udp"
    try:
        with _dialled(host.strip("[]"), int(port or (5349 if way == "tls" else 3478)), way) as sock:
            return _allocated(url, sock, way == "udp", username, credential)
    except ssl.SSLCertVerificationError as error:
        return Outcome(url, "dead", f"its certificate is not trusted: {error.verify_message}")
    except ssl.SSLError as error:
        return Outcome(url, "dead", f"no TLS is spoken there ({error.reason or error})")
    except socket.gaierror:
        return Outcome(url, "dead", f"the name {host} leads nowhere")
    except (Silent, socket.timeout):  # noqa: UP041 - another exception before Python 3.10
        return Outcome(url, "dead", f"no answer within {ANSWER_S:.0f} s")
    except OSError as error:
        return Outcome(url, "dead", error.strerror or str(error))


def _dialled(host: str, port: int, way: str) -> socket.socket:
    if way == "udp":
        return _towards(host, port)
    sock = socket.create_connection((host, port), timeout=ANSWER_S)
    if way == "tcp":
        return sock
    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _towards(host: str, port: int) -> socket.socket:
    failed = OSError(f"{host} has no address")
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        sock = socket.socket(family, kind)
        try:
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failed = error
    raise failed


def _allocated(url: str, sock: socket.socket, datagrams: bool, username: str, credential: str) -> Outcome:
    wanted = [(TRANSPORT, struct.pack("!B3x", UDP))]
    kind, told = _exchange(sock, datagrams, _message(ALLOCATE, wanted))
    realm, key, who = b"", b"", wanted[:0]
    for _ in range(2):
        challenges = (UNAUTHORIZED,) if not key else (STALE_NONCE,)
        if NONCE not in told or _error(told)[0] not in challenges:
            break
        realm = told.get(REALM, realm)
        key = hashlib.md5(b":".join((username.encode(), realm, credential.encode()))).digest()  # noqa: S324
        who = [(USERNAME, username.encode()), (REALM, realm), (NONCE, told[NONCE])]
        kind, told = _exchange(sock, datagrams, _message(ALLOCATE, [*wanted, *who], key))
    if kind == ALLOCATE | SUCCESS:
        _exchange(sock, datagrams, _message(REFRESH, [(LIFETIME, bytes(4)), *who], key))
        return Outcome(url, "given", _address(told.get(RELAYED, b"")))
    code, reason = _error(told)
    if code != UNAUTHORIZED:
        return Outcome(url, "full", f"{code} {reason}".strip())
    until = re.match(r"(\d{9,11})(?::|$)", username)
    if until and int(until[1]) < time.time():
        return Outcome(url, "expired", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(int(until[1]))))
    return Outcome(url, "refused", f"{code} {reason}".strip())


def _message(kind: int, attributes: Any, key: bytes = b"") -> bytes:
    """A request; with `key` it is signed."""
    body = b"".join(struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4) for name, value in attributes)
    transaction = os.urandom(12)
    if not key:
        return struct.pack("!HHI", kind, len(body), COOKIE) + transaction + body
    signed = struct.pack("!HHI", kind, len(body) + 24, COOKIE) + transaction + body
    return signed + struct.pack("!HH", INTEGRITY, 20) + hmac.new(key, signed, hashlib.sha1).digest()


def _exchange(sock: socket.socket, datagrams: bool, request: bytes) -> tuple[int, dict[int, bytes]]:
    """The kind of the answer and its attributes. Raises `Silent`."""
    until = time.monotonic() + ANSWER_S
    pause = 0.5
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(min(pause, left) if datagrams else left)
        pause *= 2
        sock.sendall(request)
        try:
            answer = sock.recv(2048) if datagrams else _stream(sock)
        except socket.timeout:  # noqa: UP041 - another exception before Python 3.10
            continue
        if answer[8:20] == request[8:20]:
            return struct.unpack("!H", answer[:2])[0], _attributes(answer[20:])
    raise Silent


def _stream(sock: socket.socket) -> bytes:
    data = b""
    while len(data) < 20 or len(data) < 20 + struct.unpack_from("!H", data, 2)[0]:
        more = sock.recv(2048)
        if not more:
            raise ConnectionError("it hangs up")
        data += more
        if data[0] & 0xC0 or (len(data) >= 8 and struct.unpack_from("!I", data, 4)[0] != COOKIE):
            raise ConnectionError("what answers there is no TURN server")
    return data


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        name, size = struct.unpack_from("!HH", data, at)
        found.setdefault(name, data[at + 4 : at + 4 + size])
        at += 4 + size + (-size % 4)
    return found


def _error(told: dict[int, bytes]) -> tuple[int, str]:
    value = told.get(ERROR_CODE, b"")
    return ((value[2] & 7) * 100 + value[3], value[4:].decode("utf-8", "replace")) if len(value) >= 4 else (0, "")


def _address(value: bytes) -> str:
    """The address in XOR-RELAYED-ADDRESS, without the port; the mask of IPv6 begins with the same four bytes."""
    if len(value) == 8:
        return socket.inet_ntoa(struct.pack("!I", struct.unpack_from("!I", value, 4)[0] ^ COOKIE))
    return "an IPv6 address" if value else ""


# --- on a host --------------------------------------------------------------------------------------


def program(asked: list[Asked], secrets_file: str, api: str = CLOUDFLARE) -> str:
    """The text that makes a Python print what `parsed` reads. For its standard input: passwords may be in it."""
    options = {"asked": [asdict(one) for one in asked], "secrets_file": secrets_file, "api": api}
    return f"{Path(__file__).read_text('utf-8')}\nmain({json.dumps(options)!r})\n"


def main(options: str) -> None:
    told = json.loads(options)
    try:
        secrets = json.loads(Path(told["secrets_file"]).read_text("utf-8") or "{}")
    except (OSError, ValueError):
        secrets = {}
    asked = [Asked(**{**one, "urls": tuple(one["urls"])}) for one in told["asked"]]
    sys.stdout.write(json.dumps([asdict(outcome) for outcome in tried(asked, secrets, told["api"])]) + "\n")


def parsed(text: str) -> list[Outcome]:
    """`ValueError` where it is something else."""
    lines = text.strip().splitlines()
    if not lines:
        raise ValueError("it printed nothing")
    return [Outcome(**one) for one in json.loads(lines[-1])]
