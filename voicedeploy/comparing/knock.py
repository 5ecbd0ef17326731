"""How far away the address is that takes the requests."""

import asyncio
from urllib.parse import urlsplit

from voicedeploy.call.callee import Callee
from voicedeploy.reach import handshakes_ms


async def round_trip_ms(callee: Callee) -> float | None:
    """The shortest of a few TCP handshakes. None where it cannot be had. By a private socket it is 0."""
    if callee.socket:
        return 0.0
    parts = urlsplit((callee.way.stream if callee.way else "") or callee.url)
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    return min(await asyncio.to_thread(handshakes_ms, parts.hostname or "", port), default=None)
