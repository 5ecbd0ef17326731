"""Who is heard by a bot on this host, and what would change it: by what was seen there and tried from here.

What decides is how packets of a call can meet. The bot names addresses to the caller; the one that counts is the
public one with the port by which its packets leave (`_advertised`). Either strangers' packets get in there: then
everybody is heard. Or only answers do: then both sides have to send first, each to where the other's packets come
from, which works unless a router on the way takes another port for every destination ("symmetric": most mobile
networks). Or they meet at a relay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Literal

from voicedeploy.network import BoundUdp, NoUdp, OpenUdp, UdpIn
from voicedeploy.options import ports as ports_of
from voicedeploy.provider import Severity
from voicedeploy.stun import server
from voicedeploy_providers.vm.network.addresses import Kind, kind
from voicedeploy_providers.vm.network.clouds import cloud
from voicedeploy_providers.vm.network.firewall import Firewall
from voicedeploy_providers.vm.network.looking import Mapped, Seen, named
from voicedeploy_providers.vm.network.probing import Reached

_SAMPLE = 4
_SMALL_MTU = 1300


class Heard(StrEnum):
    """From the fewest callers to the most."""

    NOBODY = "nobody"
    SAME_NETWORK = "same network only"
    ALL_BUT_SYMMETRIC = "all but symmetric"
    """Not from most mobile networks, nor from behind a carrier's NAT."""
    EVERYBODY = "everybody"


@dataclass(frozen=True)
class Settings:
    """As the bot's stack is told: a range such as "20000-20015" or "" for any port; URLs of STUN and TURN servers."""

    udp_ports: str = ""
    public_ip: str = ""
    nets: tuple[str, ...] = ()
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """`direct` is without the relay, `heard` with it. `reason` is a sentence, `fix` one command or setting; "" where
    everybody is heard. Not `sure`: what decides could not be tried."""

    heard: Heard
    direct: Heard
    reason: str
    fix: str = ""
    sure: bool = True
    without_udp: bool = False
    """Also by callers whose own network lets no UDP out: some offices, some hotels."""

    @property
    def severity(self) -> Severity:
        if self.heard is Heard.EVERYBODY:
            return "ok" if self.sure else "warning"
        return "error" if self.heard is Heard.NOBODY else "warning"


@dataclass(frozen=True)
class Advice:
    """What to render for this host. Without `stun` no STUN server is worth asking: each call would wait for it."""

    settings: Settings
    stun: bool
    why: str


def sample(ephemeral: tuple[int, int], count: int = _SAMPLE) -> tuple[int, ...]:
    """Ports to try in place of all that a program may get which asks for any."""
    low, high = ephemeral
    step = max(1, (high - low) // (count + 1))
    return tuple(range(low + step, high, step))[:count]


def where_to_try(seen: Seen, public_ip: str = "") -> str:
    """The address to send datagrams to; "" where none would arrive."""
    return public_ip or seen.public or (seen.outward if _kind(seen.outward) is Kind.PUBLIC else "")


# --- who is heard -----------------------------------------------------------------------------------


def predict(seen: Seen, reached: Reached, firewall: Firewall, settings: Settings) -> Prediction:
    """`reached`: of the range and, where `settings` has none, of a `sample` of the ephemeral ports."""
    found = _predicted(seen, reached, firewall, settings)
    # The caller's browser tries them all.
    streams = [url for url in settings.turn if server(url).transport != "udp" and seen.relays.get(url) == ""]
    return replace(found, without_udp=bool(streams) and found.heard is Heard.EVERYBODY)


def _predicted(seen: Seen, reached: Reached, firewall: Firewall, settings: Settings) -> Prediction:
    direct = _direct(seen, reached, firewall, settings)
    if direct.heard is Heard.EVERYBODY or not settings.turn:
        return direct
    first = settings.turn[0]  # the bot's stack asks no other
    why = seen.relays.get(first, "it was not asked")
    if not why:
        return Prediction(Heard.EVERYBODY, direct.heard, f"packets meet at the relay {first}; {_lower(direct.reason)}")
    reason = f"the relay {first} does not answer the host ({why}), and {_lower(direct.reason)}"
    fix = "list one first in transport.turn that answers the host, best `turns:…?transport=tcp`"
    return Prediction(direct.heard, direct.heard, reason, fix, direct.sure)


def _direct(seen: Seen, reached: Reached, firewall: Firewall, settings: Settings) -> Prediction:
    tried = reached.within(_ports(seen, settings))
    public, port_known = _advertised(seen, settings)
    opened = bool(tried.asked) and not tried.missing
    span = settings.udp_ports or "on any port"

    if public and port_known and opened and tried.address == public:
        where = "an address that the host itself holds" if seen.mapped is Mapped.ON_NIC else "behind a router"
        return _all(Heard.EVERYBODY, f"UDP {span} gets in at {public}, {where}")
    if public and port_known and not tried.asked and tried.busy:
        said = f"all of UDP {span} is in use at the moment, so it could not be tried whether it gets in at {public}"
        return _all(Heard.EVERYBODY, said, sure=False)

    near = _near(seen, settings)
    least = Heard.SAME_NETWORK if near else Heard.NOBODY
    reason, fix = _obstacle(seen, tried, firewall, settings, public)
    if public and seen.mapped is not Mapped.BLOCKED and _punches(seen, settings):
        return _all(Heard.ALL_BUT_SYMMETRIC, f"{reason}: only callers whose router keeps their port are heard", fix)
    return _all(least, reason, fix)


def _all(heard: Heard, reason: str, fix: str = "", *, sure: bool = True) -> Prediction:
    return Prediction(heard, heard, reason, fix, sure)


def _ports(seen: Seen, settings: Settings) -> range:
    low, high = seen.ephemeral
    return ports_of(settings.udp_ports) if settings.udp_ports else range(low, high + 1)


def _advertised(seen: Seen, settings: Settings) -> tuple[str, bool]:
    """The public address that the bot names to callers, and whether with the port to which it listens."""
    if seen.mapped is Mapped.ON_NIC:
        return (seen.public, True) if _within(seen.public, settings.nets) else ("", False)
    if _kind(seen.outward) is Kind.PUBLIC and _within(seen.outward, settings.nets):
        return seen.outward, True
    if settings.public_ip:
        return settings.public_ip, True
    if settings.stun and seen.mapped is not Mapped.BLOCKED:
        return seen.public, seen.mapped is Mapped.PORT_KEPT
    return "", False


def _punches(seen: Seen, settings: Settings) -> bool:
    """Whether the bot's own packets leave by the address and port that it names."""
    match seen.mapped:
        case Mapped.ON_NIC:
            return True
        case Mapped.PORT_KEPT:
            return settings.public_ip in ("", seen.public)
        case Mapped.CONE:
            return bool(settings.stun) and not settings.public_ip
    return False


def _near(seen: Seen, settings: Settings) -> bool:
    """Whether there is a network of its own, from which the bot's local address can be reached."""
    return any(
        one.kind in (Kind.PRIVATE, Kind.CGNAT) and not one.inward and _within(one.address, settings.nets)
        for one in seen.addresses
    )


# --- what is in the way -----------------------------------------------------------------------------


def _obstacle(seen: Seen, tried: Reached, firewall: Firewall, settings: Settings, public: str) -> tuple[str, str]:
    """The first thing that keeps strangers out, and what removes it."""
    span = settings.udp_ports
    outward = seen.outward or "the host's address"
    got_in = bool(tried.asked) and not tried.missing
    if got_in and not public and not settings.nets:
        return (
            f"UDP {span or 'on any port'} gets in at {tried.address}, but the bot names only {outward} to callers",
            f'public_ip = "{tried.address}"',
        )
    if got_in and public == tried.address and seen.mapped is not Mapped.ON_NIC:
        return (
            f"UDP {span} gets in at {public}, but the router sends the bot's packets from other ports, "
            "and those are what a STUN server tells the callers",
            f'public_ip = "{public}"',
        )
    if settings.nets and not any(_within(one.address, settings.nets) for one in seen.addresses):
        return (
            f"nets = {list(settings.nets)} leaves out every address of the host",
            "remove `nets`, or name the network of one of: " + ", ".join(one.address for one in seen.addresses),
        )
    if firewall.state == "closed":
        which = _spelled(firewall.closed)
        return f"{firewall.name} on the host drops UDP {which}", firewall.fix
    if not span and seen.mapped not in (Mapped.SYMMETRIC, Mapped.BLOCKED):
        return "the bot takes any UDP port, and not all of them get in", 'udp_ports = "20000-20015"'
    if settings.public_ip and seen.public and settings.public_ip != seen.public:
        return (
            f"UDP {span} does not get in at {settings.public_ip}; the host is seen at {seen.public}",
            f'public_ip = "{seen.public}"',
        )
    some = f" ({len(tried.answered)} of {len(tried.asked)} ports answer)" if tried.answered else ""
    if there := cloud(seen.hardware):
        return (
            f"UDP {span} does not get in{some}, and the host's own firewall is not what stops it",
            f"{there.name}: open UDP {span} from anywhere in {there.firewall}",
        )
    return _outside(seen, firewall, span or "on any port", some)


def _outside(seen: Seen, firewall: Firewall, span: str, some: str) -> tuple[str, str]:
    """Neither the host's firewall nor a known cloud's: a router, a carrier, a hosting company."""
    maybe = f", unless it is {firewall.name}, whose rules cannot be judged" if firewall.state == "unknown" else ""
    turn = 'transport.turn = ["turns:…?transport=tcp"]'
    if seen.mapped is Mapped.BLOCKED:
        return f"UDP gets neither in nor out: {_silence(seen)}", turn
    if seen.mapped is Mapped.ON_NIC:
        return (
            f"UDP {span} does not get in{some}, though the host holds the address {seen.public} itself{maybe}",
            firewall.fix if maybe and firewall.fix else f"open UDP {span} in the firewall of the hosting company",
        )
    if _kind(seen.outward) is Kind.CGNAT:
        return f"the host is behind a carrier's NAT ({seen.outward}), where no port can be opened", turn
    if seen.mapped is Mapped.SYMMETRIC:
        return (
            f"UDP {span} is not forwarded to {seen.outward}{some}, and the NAT takes another port for every "
            "destination, as carriers do",
            turn,
        )
    return (
        f"the router does not forward UDP {span} to {seen.outward}{some}{maybe}",
        f"forward UDP {span} to {seen.outward} on the router{f' ({seen.gateway})' if seen.gateway else ''}",
    )


def _silence(seen: Seen) -> str:
    return f"no answer from {', '.join(seen.silent)}" if seen.silent else "no STUN server was asked"


# --- what to render ---------------------------------------------------------------------------------


def advise(seen: Seen, reached: Reached, wanted: Settings) -> Advice:
    """The settings with which most callers are heard on this host. What the user has set stays."""
    public = wanted.public_ip
    tried = reached.within(_ports(seen, wanted))
    opened = bool(tried.asked) and not tried.missing
    behind = seen.mapped not in (Mapped.ON_NIC, Mapped.BLOCKED) and _kind(seen.outward) is not Kind.PUBLIC
    if behind and not public and opened:
        public = tried.address
    # As the front does where no UDP gets out: the bot's stack asks only the first.
    turn = tuple(sorted(wanted.turn, key=_needs_udp)) if seen.mapped is Mapped.BLOCKED else wanted.turn
    settings = Settings(wanted.udp_ports, public, wanted.nets or _nets(seen), wanted.stun, turn)
    if seen.mapped is Mapped.ON_NIC or _kind(seen.outward) is Kind.PUBLIC:
        return Advice(settings, False, "the host holds its public address itself: STUN could tell it nothing")
    if public:
        return Advice(settings, False, f"{public} is named to callers without asking a STUN server")
    if seen.mapped is Mapped.BLOCKED:
        return Advice(settings, False, f"{_silence(seen)}: every call would wait for it")
    if seen.mapped is Mapped.SYMMETRIC:
        return Advice(settings, False, "what a STUN server sees is not what callers see: the NAT is symmetric")
    return Advice(settings, True, "a STUN server tells the port at the router, which only answers pass")


def _needs_udp(url: str) -> int:
    return ("tls", "tcp", "udp").index(server(url).transport)


def _nets(seen: Seen) -> tuple[str, ...]:
    """Empty where every address is worth a try; else all but those of containers and virtual machines."""
    usable = [one for one in seen.addresses if one.kind not in (Kind.LOOPBACK, Kind.LINK_LOCAL)]
    if not any(one.inward for one in usable):
        return ()
    return tuple(dict.fromkeys(one.net for one in usable if not one.inward))


def notes(seen: Seen, settings: Settings) -> list[str]:
    """What hurts without keeping anybody out, as sentences."""
    found = []
    if settings.udp_ports and seen.busy:
        found.append(f"UDP {_spelled(seen.busy)} is in use by other programs, or by calls that run")
    if silent := [url for url in settings.stun if named(url) in seen.silent]:
        found.append(f"STUN servers do not answer: {', '.join(silent)}")
    if seen.mtu < _SMALL_MTU:
        found.append(f"{seen.interface} carries packets of {seen.mtu} bytes only: set PIPECAT_SCTP_MAX_CHUNK_SIZE=900")
    return found


# --- what the target offers -------------------------------------------------------------------------


def udp_in(prediction: Prediction, seen: Seen, settings: Settings) -> UdpIn:
    """The same for `voicedeploy.network`: without the relay, which is the transport's."""
    span = settings.udp_ports or "any port"
    address: Literal["nic", "nat"] = "nic" if seen.mapped is Mapped.ON_NIC else "nat"
    match prediction.direct:
        case Heard.EVERYBODY:
            return OpenUdp(span, address)
        case Heard.ALL_BUT_SYMMETRIC:
            return BoundUdp(span, "", "not for callers on most mobile networks", ready=True)
        case Heard.SAME_NETWORK:
            return OpenUdp(span, "lan")
    return NoUdp(_lower(prediction.reason))


# --- words ------------------------------------------------------------------------------------------


def _kind(address: str) -> Kind | None:
    return kind(address) if address else None


def _within(address: str, nets: Sequence[str]) -> bool:
    if not address:
        return False
    return not nets or any(ip_address(address.partition("%")[0]) in ip_network(net, strict=False) for net in nets)


def _lower(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _spelled(ports: Sequence[int]) -> str:
    """`20000-20003, 20007`"""
    spans: list[list[int]] = []
    for port in sorted(ports):
        if spans and port == spans[-1][1] + 1:
            spans[-1][1] = port
        else:
            spans.append([port, port])
    return ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in spans)
