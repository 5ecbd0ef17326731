"""Where a call's media goes in and out: the UDP port, the public address, the networks, loopback, the relay.

aiortc and aioice bind any port on every address, know no public address but a STUN server's answer, and skip
127.0.0.1. All three are decided in one method, `aioice.ice.Connection.get_component_candidates`, of a class
that `aiortc.rtcicetransport` looks up by name: the place where this module steps in.
"""

import asyncio
import contextvars
import errno
import inspect
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .log import log

Sockets = dict[str, socket.socket]

# For servers that do not answer: the caller waits for this before there is an answer at all.
_STUN_TIMEOUT_S = 2
_RELAY_TIMEOUT_S = 3
"""Of a relay, where there is another to ask."""

_lent: contextvars.ContextVar[Sockets | None] = contextvars.ContextVar("lent", default=None)


class CannotPin(Exception):
    """This aioice or aiortc has changed where we step in; calls would go to ports that nobody opened."""


class NoCandidates(Exception):
    """There is no address or port where this call's media could go."""


@dataclass
class Route:
    """`udp_ports`: in the order of preference; empty means any. `nets`: only local addresses in these.
    `relay_only`: none of them, only the TURN server's. `bind`: this one address, whatever others there are."""

    udp_ports: Sequence[int] = ()
    public_ip: str | None = None
    nets: Sequence[str] = ()
    relay_only: bool = False
    bind: str | None = None
    heard_at: float = field(default_factory=time.monotonic)
    """When the last packet came from the client (`time.monotonic`)."""
    other_relays: Sequence[dict[str, Any]] = ()
    """Beside the first, which is the only one that aiortc asks; as attributes of aioice's `Connection`."""

    def addresses(self, found: Sequence[str]) -> list[str]:
        """The local addresses to use; loopback only where there is nothing else, or `nets` asks for it.

        On a machine without a network a caller sits on the same machine. Elsewhere it would cost every client
        a useless check, and a STUN query from 127.0.0.1 never ends.
        """
        if self.relay_only:
            return []
        if self.bind:
            return [self.bind]
        candidates = list(dict.fromkeys([*found, "127.0.0.1"]))
        if self.nets:
            networks = [ipaddress.ip_network(net, strict=False) for net in self.nets]
            return [a for a in candidates if any(ipaddress.ip_address(a) in net for net in networks)]
        return [a for a in candidates if not ipaddress.ip_address(a).is_loopback] or candidates

    def needs_stun(self, addresses: Sequence[str]) -> bool:
        """Whether a STUN server could tell anything that is not known already."""
        local = [ipaddress.ip_address(a) for a in addresses]
        reachable = any(a.version == 4 and not a.is_loopback for a in local)
        return reachable and not self.public_ip and not any(a.version == 4 and a.is_global for a in local)


def require() -> None:
    """Raises `CannotPin` unless aioice and aiortc still have the places this module needs."""
    try:
        import aioice.ice
        import aiortc.rtcicetransport as transport
    except ImportError as error:
        raise CannotPin(
            f"the bot's environment has no WebRTC ({error}); add `pipecat-ai[webrtc]` to its dependencies"
        ) from None
    gather = vars(aioice.ice.Connection).get("get_component_candidates")
    if (
        gather is None
        or [*inspect.signature(gather).parameters] != ["self", "component", "addresses", "timeout"]
        or "create_datagram_endpoint" not in gather.__code__.co_names
        or getattr(transport, "Connection", None) is not aioice.ice.Connection
    ):
        raise CannotPin(
            "this aioice/aiortc cannot be told which UDP port to use; "
            "voicedeploy is tested with aioice 0.13 and aiortc 1.16"
        )


def install(route: Route) -> None:
    """Makes every peer connection of this process use `route`; call it on the call's own loop."""
    import aioice.ice
    import aiortc.rtcicetransport as transport
    from aioice.candidate import Candidate, candidate_foundation, candidate_priority

    def public(component: int, host: Candidate) -> Candidate:
        assert route.public_ip
        return Candidate(
            foundation=candidate_foundation("srflx", "udp", route.public_ip),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "srflx"),
            host=route.public_ip,
            port=host.port,
            type="srflx",
            related_address=host.host,
            related_port=host.port,
        )

    policy = {}
    if route.relay_only:
        # Pipecat does not pass on aiortc's `iceTransportPolicy`.
        if "transport_policy" not in inspect.signature(aioice.ice.Connection.__init__).parameters:
            raise CannotPin("this aioice cannot be told to use a relay only; voicedeploy is tested with aioice 0.13")
        policy = {"transport_policy": aioice.TransportPolicy.RELAY}

    class Connection(aioice.ice.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, **policy})

        async def get_component_candidates(
            self,
            component: int,
            addresses: list[str],
            timeout: int = 5,  # noqa: ASYNC109
        ) -> list[Candidate]:
            addresses = route.addresses(addresses)
            if self.stun_server and not route.needs_stun(addresses):
                self.stun_server = None
            if not self.turn_server:
                timeout = min(timeout, _STUN_TIMEOUT_S)
            elif route.other_relays:
                timeout = min(timeout, _RELAY_TIMEOUT_S)
            lent = bind(route.udp_ports, addresses) if route.udp_ports else {}
            token = _lent.set(lent)
            try:
                found = await super().get_component_candidates(component, addresses, timeout)
            finally:
                _lent.reset(token)
                for unused in lent.values():
                    unused.close()
            others = list(route.other_relays)
            while self.turn_server and not any(c.type == "relay" for c in found):
                where = f"{self.turn_server[0]}:{self.turn_server[1]}"
                log(f"the TURN server {where} gave no address within {timeout} s; `voicedeploy check` says why")
                if others:
                    vars(self).update(others.pop(0))
                    found += await super().get_component_candidates(component, [], timeout)
                    continue
                if route.relay_only:
                    raise NoCandidates(f"the TURN server {where} gave no address, and `relay_only` leaves no other")
                break
            if not found:
                what = "a TURN server" if route.relay_only else "a local address"
                raise NoCandidates(f"there is not {what} to use (networks: {', '.join(route.nets) or 'all'})")
            if route.public_ip:
                # Beside the host's own address, never instead: clients on the same network need that one.
                version = ipaddress.ip_address(route.public_ip).version
                known = {(c.host, c.port) for c in found}
                for host in [c for c in found if c.type == "host"]:
                    fits = ipaddress.ip_address(host.host).version == version
                    if fits and (route.public_ip, host.port) not in known:
                        known.add((route.public_ip, host.port))
                        found.append(public(component, host))
            return found

        async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
            try:
                await super().add_remote_candidate(remote_candidate)
            except OSError:
                # A browser's `….local` name is asked for by multicast, which a machine without a network
                # refuses; the browser's own checks still reach us.
                return

        def data_received(self, data: bytes, component: int) -> None:
            route.heard_at = time.monotonic()
            super().data_received(data, component)

        def request_received(self, message: Any, addr: tuple[str, int], protocol: Any) -> None:
            route.heard_at = time.monotonic()
            super().request_received(message, addr, protocol)

    vars(transport)["Connection"] = Connection
    _lend(asyncio.get_running_loop())


def bind(ports: Sequence[int], addresses: list[str]) -> Sockets:
    """A socket for each address, all on the first port that is free on all of them.

    Raises `NoCandidates` if no port is. An address that cannot be bound at all is left out of `addresses`.
    """
    for port in ports:
        sockets: Sockets = {}
        for address in list(addresses):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            try:
                sock.bind((address, port))
            except OSError as error:
                sock.close()
                if error.errno == errno.EADDRNOTAVAIL:
                    addresses.remove(address)
                    continue
                break
            sockets[address] = sock
        else:
            return sockets
        for sock in sockets.values():
            sock.close()
    raise NoCandidates(f"none of this call's UDP ports is free: {', '.join(map(str, ports))}")


def _lend(loop: asyncio.AbstractEventLoop) -> None:
    """Makes `loop` use a lent socket where aioice asks for any port of its address."""
    create: Callable[..., Any] = loop.create_datagram_endpoint

    async def create_datagram_endpoint(
        factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        lent = _lent.get()
        if lent and local_addr and local_addr[1] == 0 and local_addr[0] in lent:
            return await create(factory, sock=lent.pop(local_addr[0]), **options)
        return await create(factory, local_addr=local_addr, remote_addr=remote_addr, **options)

    vars(loop)["create_datagram_endpoint"] = create_datagram_endpoint
