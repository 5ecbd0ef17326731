"""How far away the address is that takes the requests."""

import asyncio
import socket
import time
from urllib.parse import urlsplit

from voicedeploy.call.callee import Callee

TIMES = 3
PATIENCE_S = 3.0


async def round_trip_ms(callee: Callee) -> float | None:
    """The shortest of three TCP handshakes, the name looked up before. None where it cannot be had: nothing listens
    there, or only a proxy gets out. By a private socket it is 0.

    It ends where TCP ends: what lies behind a platform's edge is not in it.
    """
    if callee.socket:
        return 0.0
    parts = urlsplit(callee.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.get_running_loop().getaddrinfo(callee.host, port, type=socket.SOCK_STREAM)
            return await _reached([(family, address) for family, _, _, _, address in found])
    except (OSError, TimeoutError):
        return None


async def _reached(addresses: list[tuple[int, tuple[object, ...]]]) -> float | None:
    """To the first of the name's addresses that answers."""
    for family, address in addresses:
        try:
            return 1000 * min([await _handshake(family, address) for _ in range(TIMES)])
        except OSError:
            continue
    return None


async def _handshake(family: int, address: tuple[object, ...]) -> float:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        began = time.monotonic()
        await asyncio.get_running_loop().sock_connect(sock, address)
        return time.monotonic() - began
