"""STUN and TURN servers: their URLs, and a binding request (RFC 8489) with nothing but sockets."""

import os
import re
import socket
import struct
from dataclasses import dataclass
from typing import Literal

_COOKIE = 0x2112A442
_BINDING_REQUEST, _BINDING_SUCCESS = 0x0001, 0x0101


@dataclass(frozen=True)
class Server:
    """What a `stun:`, `turn:` or `turns:` URL says, its defaults filled in (RFC 7064, RFC 7065)."""

    host: str
    port: int
    transport: Literal["udp", "tcp", "tls"]


def server(url: str) -> Server:
    """`ValueError` where it is no such URL."""
    found = re.fullmatch(r"(stun|stuns|turn|turns):(\[[^\]]+\]|[^:?/]+)(?::(\d+))?(?:\?transport=(udp|tcp))?", url)
    if not found:
        raise ValueError(f"{url!r} is not the URL of a STUN or TURN server")
    scheme, host, port, transport = found.groups()
    secure = scheme.endswith("s")
    kind: Literal["udp", "tcp", "tls"] = "tls" if secure else "tcp" if transport == "tcp" else "udp"
    return Server(host.strip("[]"), int(port or (5349 if secure else 3478)), kind)


def answers(host: str, port: int, *, wait_s: float) -> bool:
    """Whether a STUN server answers over UDP within `wait_s` seconds; asked three times in between."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_asked(family, address, wait_s / len(addresses)) for family, *_, address in addresses)


def _asked(family: int, address: object, wait_s: float) -> bool:
    transaction = os.urandom(12)
    request = struct.pack("!HHI", _BINDING_REQUEST, 0, _COOKIE) + transaction
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(wait_s / 3)
        for _ in range(3):
            try:
                probe.connect(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
                probe.send(request)
                answer = probe.recv(2048)
            except OSError:
                continue
            if (
                len(answer) >= 20
                and struct.unpack("!H", answer[:2])[0] == _BINDING_SUCCESS
                and answer[8:20] == transaction
            ):
                return True
    return False
