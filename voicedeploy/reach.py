"""How far away an address is, by how long TCP takes to shake hands with it."""

import socket
import time
from urllib.parse import urlsplit


def door(url: str) -> tuple[str, int]:
    """Its host ("" where it names none) and its port, the one of its scheme where it names none."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme in ("https", "wss") else 80)


def handshakes_ms(host: str, port: int, *, times: int = 3, patience_s: float = 3.0) -> list[float]:
    """With the first of the name's addresses that answers; the name is looked up before, and all ends after
    `patience_s`. Empty where nobody answers: nothing listens there, or only a proxy gets out.

    It ends where TCP ends: what lies behind a platform's edge is not in it.
    """
    until = time.monotonic() + patience_s
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    for family, _, _, _, address in found:
        took: list[float] = []
        try:
            while len(took) < times:
                took.append(_handshake_ms(family, address, until))
        except OSError:
            if not took:
                continue
        return took
    return []


def _handshake_ms(family: int, address: tuple[object, ...], until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(left_s)
        began = time.monotonic()
        sock.connect(address)
        return (time.monotonic() - began) * 1000
