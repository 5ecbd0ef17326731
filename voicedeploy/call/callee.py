"""Whom to call: the address of a front (or of Pipecat's development runner) and what opens it."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from voicedeploy.errors import UsageError
from voicedeploy.way import Way

if TYPE_CHECKING:
    from voicedeploy.plan import Door


@dataclass(frozen=True)
class Callee:
    """`url` without fragment and without trailing slash. `key` or `invite` buys a start token for each call; `signing`
    is the secret by which a carrier signs its webhooks.

    `socket` is the path of a front's private unix socket: HTTP goes over it, and no token is needed there.
    """

    url: str
    key: str = field(default="", repr=False)
    invite: str = field(default="", repr=False)
    socket: str = ""
    signing: str = field(default="", repr=False)
    ca: str = ""
    """Certificates in PEM to trust beside the system's."""
    way: Way | None = None
    """Of a platform in place of a front; what it says of addresses is right."""

    @classmethod
    def parse(cls, url: str, *, key: str = "", socket: str = "", ca: str = "") -> "Callee":
        """Reads an address as people paste it: `https://host/#invite=TOKEN`, `http://localhost:7860/`.

        Raises UsageError for anything that is not http or https.
        """
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"`{url.split('#')[0]}` is not an address that can be called",
                hint="it begins with https:// (or http:// on this machine), e.g. http://localhost:7860/",
            )
        invite = parse_qs(parts.fragment).get("invite", [""])[0]
        plain = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        return cls(plain, key=key, invite=invite, socket=socket, ca=ca)

    @classmethod
    def at(cls, door: "Door") -> "Callee":
        """Raises UsageError for a door without an address."""
        return replace(cls.parse(door.url, key=door.key, socket=door.socket, ca=door.ca), way=door.way)

    def stream(self, transport: str) -> str:
        """Where a carrier opens its socket without asking anybody; "" where it asks first."""
        return self.way.stream if self.way and self.way.transport == transport else ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def on_loopback(self) -> bool:
        return self.host == "localhost" or self.host.endswith(".localhost") or _is(self.host, "is_loopback")

    @property
    def on_private_network(self) -> bool:
        """By its literal address: such a host needs no public STUN server to be found."""
        return self.on_loopback or _is(self.host, "is_private") or self.host.endswith(".local")


def _is(host: str, what: str) -> bool:
    try:
        return bool(getattr(ip_address(host), what))
    except ValueError:
        return False
