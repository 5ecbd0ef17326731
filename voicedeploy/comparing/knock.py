"""How far away the address is that takes the requests."""

import asyncio

from voicedeploy.call.callee import Callee
from voicedeploy.reach import door, handshakes_ms


async def round_trip_ms(callee: Callee) -> float | None:
    """The shortest of a few TCP handshakes. None where it cannot be had. By a private socket it is 0."""
    if callee.socket:
        return 0.0
    host, port = door((callee.way.stream if callee.way else "") or callee.url)
    return min(await asyncio.to_thread(handshakes_ms, host, port), default=None)
