"""Where a front's media socket is."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from voicedeploy.call.callee import Callee
from voicedeploy.way import Way

# Pipecat Cloud's sockets are named after who calls (docs.pipecat.ai, 2026-08), a front's after a session.
_PLATFORMS = re.compile(r"/ws/(twilio|telnyx|plivo|exotel|generic)(/|$)")


def stands_at(callee: Callee, named: str) -> Callee:
    """Whose socket it is: the front's, or that of a platform to which it leads its callers."""
    parts = urlsplit(named)
    if callee.way or not _PLATFORMS.search(parts.path):
        return callee
    scheme = "https" if parts.scheme == "wss" else "http"
    return Callee(urlunsplit((scheme, parts.netloc, "", "", "")), way=Way(transport=""))


def dialled(callee: Callee, named: str, path: str) -> str:
    """The address to open. `named` is what `/start` said, empty where there is no `/start`: then it is `path`.

    A platform's word is taken as it is. Of a front's only a name is believed: an address is what the server was bound
    to, which says nothing of how it is reached, and a callee that was reached here is reached here again.
    """
    if callee.way and named:
        return named
    ours = urlsplit(callee.url)
    theirs = urlsplit(named or callee.url + path)
    if not callee.socket and not callee.on_loopback and _is_name(theirs):
        return urlunsplit((_scheme(theirs.scheme), theirs.netloc, theirs.path, theirs.query, ""))
    below = theirs.path if theirs.path.startswith(ours.path) else ours.path + theirs.path
    return urlunsplit((_scheme(ours.scheme), ours.netloc, below, theirs.query, ""))


def _scheme(theirs: str) -> str:
    return "wss" if theirs in ("https", "wss") else "ws"


def _is_name(parts: SplitResult) -> bool:
    host = parts.hostname or "localhost"
    try:
        ip_address(host)
    except ValueError:
        return host != "localhost"
    return False
