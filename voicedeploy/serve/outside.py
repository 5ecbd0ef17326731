"""How the front is reached from outside, behind whatever stands before it."""

from collections.abc import Sequence

from starlette.requests import Request

from voicedeploy.serve.origins import Network, within


def base_url(request: Request, public_url: str, trusted: Sequence[Network]) -> str:
    """`https://bot.example.org`, without a slash at the end: what is configured, else what a trusted proxy says, else
    what the request itself says. Nobody else's forwarded headers count."""
    if public_url and not request.scope.get("private"):
        return public_url.rstrip("/")
    scheme, host = "http", request.headers.get("host", "localhost")
    peer = request.client.host if request.client else ""
    if within(peer, trusted):
        # The last one is what the trusted proxy itself has written.
        scheme = _last(request, "x-forwarded-proto") or scheme
        host = _last(request, "x-forwarded-host") or host
    return f"{'https' if scheme in ('https', 'wss') else 'http'}://{host}"


def websocket_url(outside: str, session_id: str) -> str:
    """Where the session's one socket is. In the path, because carriers drop what comes after a `?`."""
    return f"ws{outside.removeprefix('http')}/ws/{session_id}"


def _last(request: Request, name: str) -> str:
    return ",".join(request.headers.getlist(name)).rpartition(",")[2].strip().lower()
