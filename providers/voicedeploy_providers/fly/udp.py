"""Direct UDP: Fly brings it only to a dedicated address of the app, and all of a port to one machine.

So no two machines of an app have a port in common, whatever release they are of and whether they run: while a
generation takes over, callers of both are reached, and a stopped one that is gone back to finds its own ports.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from voicedeploy import targets
from voicedeploy.deployment import Deployment
from voicedeploy.errors import NotReady
from voicedeploy.network import BoundUdp, Offer
from voicedeploy.options import ports
from voicedeploy.spec import Spec
from voicedeploy_providers.fly.api import Ip, Machine, Port, Service
from voicedeploy_providers.fly.options import Options
from voicedeploy_providers.fly.sizes import ADDRESS_USD_PER_MONTH

BIND = "fly-global-services"
"""Leads to the machine's address that UDP comes to. Answers from another one are lost; TCP must not be bound to it."""
PUBLIC_IP = "VOICEDEPLOY_PUBLIC_IP"
"""Tells a machine the app's address. Until there is one, the plan has its kind there."""
KIND = "v4"
PORTS = "voicedeploy-udp"
"""In a machine's metadata, which Fly knows also while it does not reach the machine's host: its range of ports."""
COST = f"${ADDRESS_USD_PER_MONTH:.2f} a month"
_FIRST, _LAST = 20000, 59999
_UNPROVEN = (
    "direct UDP is not proven on the real platform, only on a stand-in of it; "
    "there is a report of sound that stops after five minutes (community.fly.io/t/24997)"
)


def wanted(spec: Spec, options: Options) -> bool:
    return options.udp and spec.receives_media and not spec.transport.relay_only


def offer(spec: Spec, options: Options) -> Offer:
    """What the table says, unless the conditions are set up."""
    usual = targets.offer(targets.find("fly"))
    if not wanted(spec, options):
        return usual
    where = f"at a dedicated IPv4 address, {COST}"
    return replace(usual, udp_in=BoundUdp("ports of each machine's own", BIND, where, ready=True, unproven=_UNPROVEN))


def services(range_of_ports: str) -> tuple[Service, ...]:
    """One for each port: nobody documents ranges for UDP. Nothing but its address is changed on a packet's way."""
    return tuple(
        Service(protocol="udp", internal_port=port, autostop="off", autostart=False, ports=(Port(port=port),))
        for port in ports(range_of_ports)
    )


def taken(machines: Iterable[Machine]) -> set[int]:
    """Ports of an app's machines, also of those that are stopped or somebody else's."""
    found: set[int] = set()
    for machine in machines:
        if said := machine.metadata.get(PORTS):
            found |= set(ports(said))
        elif machine.config is not None:
            found |= {p for s in machine.config.services if s.protocol == "udp" for p in _outside(s)}
        elif Deployment.from_labels(machine.metadata) is None:
            raise NotReady(
                f"Fly does not reach the host of {machine.name}, whose UDP ports are not known",
                hint="try again later; if it stays so, destroy that machine",
            )
    return found


def _outside(service: Service) -> Iterable[int]:
    for port in service.ports:
        yield from (range(port.start_port, port.end_port + 1) if port.start_port else (port.port,))


def free(taken: Collection[int], count: int, size: int) -> tuple[str, ...]:
    """`count` ranges of `size` ports each, the lowest that nobody has."""
    found: list[str] = []
    low = _FIRST
    while len(found) < count:
        high = low + size - 1
        if high > _LAST:
            raise NotReady(
                f"the app's machines have nearly all UDP ports from {_FIRST} to {_LAST}",
                hint="lower [provider.fly] keep, then `voicedeploy up` again",
            )
        if clashes := [port for port in range(low, high + 1) if port in taken]:
            low = clashes[-1] + 1
            continue
        found.append(f"{low}-{high}")
        low = high + 1
    return tuple(found)


def lost(machine: Machine, ips: Iterable[Ip]) -> str:
    """The address that it tells callers, where the app does not have it any more."""
    told = machine.config.env.get(PUBLIC_IP, "") if machine.config else ""
    return told if told not in {"", *(ip.ip for ip in ips)} else ""


def require(machines: Iterable[Machine], ips: Collection[Ip]) -> None:
    """Raises `NotReady` where one of them sends callers to an address that is gone."""
    for machine in machines:
        if gone := lost(machine, ips):
            raise NotReady(
                f"{machine.name} tells callers {gone}, an address that the app does not have any more",
                hint="a release that is made now gets the new one: change a line of the bot, then `voicedeploy up`",
            )
