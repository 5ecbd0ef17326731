"""The relays that `/start` names, and why one of them gives the caller no address."""

import asyncio
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from aioice import Connection
from aioice.stun import TransactionFailed, TransactionTimeout
from aioice.turn import create_turn_endpoint
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs

from voicedeploy.call.run import Failure

ANSWER_S = 3.0
UNAUTHORIZED = 401


@dataclass(frozen=True)
class Relay:
    host: str
    port: int
    way: Literal["udp", "tcp", "tls"]
    username: str
    credential: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.way})"

    def lend(self, agent: Connection) -> None:
        """Makes it the one that `agent` asks."""
        agent.turn_server = (self.host, self.port)
        agent.turn_username, agent.turn_password = self.username, self.credential
        agent.turn_ssl = self.way == "tls"
        agent.turn_transport = "udp" if self.way == "udp" else "tcp"


def relays(servers: Sequence[RTCIceServer]) -> list[Relay]:
    """In their order, one for each host and way: another port of the same seldom gets further."""
    found: dict[tuple[str, str], Relay] = {}
    for server in servers:
        for url in [server.urls] if isinstance(server.urls, str) else server.urls:
            one = RTCIceServer(urls=url, username=server.username, credential=server.credential)
            asked = connection_kwargs([one])
            if "turn_server" not in asked:
                continue
            host, port = asked["turn_server"]
            way: Literal["udp", "tcp", "tls"] = "tls" if asked["turn_ssl"] else asked["turn_transport"]
            found.setdefault((host, way), Relay(host, port, way, server.username or "", server.credential or ""))
    return list(found.values())


async def failure(asked: Sequence[Relay]) -> Failure | None:
    """What is wrong with them, asked all at once; None if one of them gives an address after all."""
    why = await asyncio.gather(*map(_refused, asked))
    wrong = [said for said in why if said]
    if not wrong or len(wrong) < len(asked):
        return None
    message = "; ".join(dict.fromkeys(said for said, _ in wrong))
    return Failure("no-candidates", message, "\n".join(dict.fromkeys(hint for _, hint in wrong)))


async def _refused(relay: Relay) -> tuple[str, str] | None:
    """What it says instead of an address, and what to do."""
    try:
        async with asyncio.timeout(ANSWER_S):
            transport, _ = await create_turn_endpoint(
                asyncio.DatagramProtocol,
                (relay.host, relay.port),
                relay.username,
                relay.credential,
                ssl=relay.way == "tls",
                transport="udp" if relay.way == "udp" else "tcp",
            )
    except TransactionFailed as error:
        return _answered(relay, *error.response.attributes.get("ERROR-CODE", (0, "")))
    except (TransactionTimeout, TimeoutError):
        return _dead(relay, f"no answer within {ANSWER_S:.0f} s")
    except ssl.SSLCertVerificationError as error:
        return _dead(relay, f"its certificate is not trusted here: {error.verify_message}")
    except (OSError, ConnectionError) as error:
        return _dead(relay, error.strerror or str(error) or type(error).__name__)
    transport.close()
    return None


def _answered(relay: Relay, code: int, reason: str) -> tuple[str, str]:
    if code != UNAUTHORIZED:
        return (
            f"the TURN server {relay} gives no address: {code} {reason}".rstrip(),
            "its log says why: a quota, or a range of ports that is used up",
        )
    if (ago := _expired(relay.username)) is not None:
        return (
            f"the credentials for the TURN server {relay} expired {ago:.0f} s ago",
            "credentials are made for each call where `transport.turn` has a `secret`; is the clock of the bot's "
            "machine right?",
        )
    return (
        f"the TURN server {relay} refuses the credentials: {code} {reason}".rstrip(),
        "set the server's own secret (`voicedeploy secrets set NAME`), or correct `username` and `credential` in "
        "`transport.turn`; then `voicedeploy up`",
    )


def _dead(relay: Relay, why: str) -> tuple[str, str]:
    return (
        f"the TURN server {relay} does not answer: {why}",
        "is it running, the address in `transport.turn` right, and its port open for this network?",
    )


def _expired(username: str) -> float | None:
    """Seconds since the end that the name of short-lived credentials begins with."""
    until = re.match(r"(\d{9,11})(?::|$)", username)
    ago = time.time() - int(until[1]) if until else -1.0
    return ago if ago > 0 else None
