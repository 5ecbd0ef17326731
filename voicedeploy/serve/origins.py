"""Where a request comes from: its address, its page, and whether it never left this machine. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

# What proxies add; a request that carries one was not made on this machine for this machine.
FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "fly-client-ip",
)
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(values: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(value, strict=False) for value in values)


def address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The client's address: the last one in X-Forwarded-For that no trusted proxy has written about itself."""
    client = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",")] if forwarded_for else []):
        if not within(client, trusted):
            break
        if _ip(hop) is None:
            break
        client = hop
    return client


def is_loopback(peer: str) -> bool:
    ip = _ip(peer)
    return ip is not None and ip.is_loopback


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of `origin` was served by `host` (the Host header)."""
    parts = _split(origin)
    return parts is not None and parts == _split(f"{origin.partition('://')[0]}://{host}")


def origin_allowed(origin: str, host: str, allowed: Sequence[str]) -> bool:
    """No Origin is no browser page, and not this check's business."""
    if not origin or "*" in allowed:
        return True
    return origin in allowed or same_origin(origin, host)


def never_left(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether a request was made on this machine, to it by a local name, and by no foreign page.

    The name in `Host` is what stops a foreign page that has its own name resolve to 127.0.0.1.
    """
    host = headers.get("host", "")
    parts = _split(f"http://{host}")
    origin = headers.get("origin", "")
    return (
        is_loopback(peer)
        and parts is not None
        and parts[1] in LOCAL_NAMES
        and not any(name in headers for name in FORWARDING)
        and (not origin or same_origin(origin, host))
    )


def _split(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped
    return ip


def within(text: str, trusted: Sequence[Network]) -> bool:
    ip = _ip(text)
    return ip is not None and any(ip in network for network in trusted)
