"""Which ports a bot gets on a host that may hold several."""

from dataclasses import replace

from voicedeploy.options import ports
from voicedeploy_providers.vm.facts import Facts, Ports
from voicedeploy_providers.vm.options import Options

FIRST_TCP = 7860
FIRST_UDP = 20000
"""Below the ephemeral range (32768 on), from which the kernel gives ports to other programs."""


def allot(bot: str, slots: int, options: Options, facts: Facts, *, media: bool = True) -> Ports:
    """The ports this bot has already, if they still do; otherwise the first that no other bot and no program has.

    Two UDP ports a slot: while a release drains, the next one needs its own. Without `media` it gets none; a range that
    it has from another transport stays its own, for the release that may be gone back to.
    """
    have = facts.of(bot).ports
    others = [other.ports for name, other in facts.bots.items() if name != bot and other.ports]
    before = have.udp if have else ""
    udp = (options.udp_ports or _udp(have, others, 2 * slots)) if media else before
    if have:
        return replace(have, udp=udp)
    return Ports(_tcp(others, facts), udp)


def _tcp(others: list[Ports], facts: Facts) -> int:
    taken = {other.tcp for other in others} | set(facts.listening)
    return next(port for port in range(FIRST_TCP, 65536) if port not in taken)


def _udp(have: Ports | None, others: list[Ports], wanted: int) -> str:
    taken = {port for other in others if other.udp for port in ports(other.udp)}
    if have and have.udp and len(ports(have.udp)) >= wanted and not taken & set(ports(have.udp)):
        return have.udp
    first = FIRST_UDP
    while clash := taken & set(range(first, first + wanted)):
        first = max(clash) + 1
    return f"{first}-{first + wanted - 1}"
