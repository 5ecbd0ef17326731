"""Opening the socket, and what it means if it does not open."""

import ssl
from dataclasses import replace
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from voicedeploy.call.callee import Callee
from voicedeploy.call.run import Failure
from voicedeploy.call.signalling import CallFailed, refusal, trust

REFUSED = (401, 403, 429, 503)
"""What the front itself says; anything else is said by whatever stands there."""
LONGEST_MESSAGE = 1 << 24


async def opened(target: Callee, url: str, token: str, timeout_s: float) -> ClientConnection:
    """Raises CallFailed. `url` and what it holds are never shown: knowing it may be the right to the call."""
    tls: ssl.SSLContext | None = trust(target) if url.startswith("wss:") else None
    how: dict[str, Any] = {
        "additional_headers": {"Authorization": f"Bearer {token}"} if token else {},
        "compression": None,  # of sound that is compressed already
        "max_size": LONGEST_MESSAGE,
        "open_timeout": timeout_s,
        "ping_interval": None,  # carriers do not ask
        "ssl": tls,
    }
    try:
        if target.socket:
            return await unix_connect(target.socket, url, **how)
        return await connect(url, proxy=None if target.on_loopback else True, **how)
    except InvalidStatus as why:
        raise _turned_away(why, target) from why
    except (InvalidHandshake, OSError, TimeoutError, EOFError) as why:
        text = str(why) or type(why).__name__
        raise CallFailed(
            Failure(
                "socket",
                f"the call was started, but its WebSocket did not open: {text}",
                "does the proxy in front of the bot pass WebSockets on? `voicedeploy logs` has the bot's side",
            )
        ) from why


def _turned_away(why: InvalidStatus, target: Callee) -> CallFailed:
    answer = why.response
    headers = {name: value for name, value in answer.headers.raw_items() if name.lower() == "retry-after"}
    response = httpx.Response(answer.status_code, headers=headers, content=bytes(answer.body or b""))
    said = refusal(response, "the WebSocket", target)
    known = target.way.hint if target.way else ""
    if answer.status_code in REFUSED:
        failure = replace(said.failure, hint=known) if known and said.failure.layer == "refused" else said.failure
        return CallFailed(failure, retry_after_s=said.retry_after_s)
    hint = "the front and what stands before it must pass WebSockets on; `voicedeploy logs` has the bot's side"
    return CallFailed(Failure("socket", said.failure.message, known or hint))
