"""How callers come in: the address that gives a browser its microphone, and where its certificate is from."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from voicedeploy.errors import NotReady
from voicedeploy.network import ServesHttp, Transport, need
from voicedeploy.render import render
from voicedeploy_providers.vm.facts import Facts, Front
from voicedeploy_providers.vm.network.addresses import Kind, kind
from voicedeploy_providers.vm.options import Options

Tls = Literal["acme", "shortlived", "tailscale", "internal"]

_SHORTLIVED = (2, 10)
"""The first Caddy that asks for certificates of a profile."""
_STREAM_DELAY = (2, 7)
"""The first Caddy that can let streams live when it reads its files again."""


@dataclass(frozen=True)
class Entrance:
    """`host` is the name or address in the URL; `why` completes the line of the plan."""

    host: str
    tls: Tls
    why: str

    @property
    def url(self) -> str:
        return f"https://{f'[{self.host}]' if ':' in self.host else self.host}/"


def entrance(options: Options, facts: Facts, dialled: str) -> Entrance:
    """Chosen from what the spec says, else from the class of the address. `dialled`: the address SSH reached."""
    wanted = options.https
    if options.domain and wanted in ("auto", "acme", "internal"):
        tls: Tls = "internal" if wanted == "internal" else "acme"
        return Entrance(options.domain, tls, "its own domain" + (", own authority" if tls == "internal" else ""))
    if wanted == "acme":
        raise NotReady('https = "acme" needs a name', hint='[provider.vm] domain = "talk.example.org"')
    address = options.public_ip or _outside(facts, dialled)
    public = kind(address) is Kind.PUBLIC
    if wanted == "auto":
        wanted = _for(address, facts)
    match wanted:
        case "ip" if public:
            return Entrance(address, "shortlived", "a certificate for the address itself")
        case "sslip" if public:
            return Entrance(f"{re.sub('[.:]', '-', address)}.sslip.io", "acme", "a public name for the address")
        case "tailscale" if facts.tailnet:
            return Entrance(facts.tailnet, "tailscale", "the tailnet's name: for its own devices")
        case "tailscale":
            raise NotReady("no tailnet answers on the host", hint='tailscale up, there; or https = "internal"')
        case "internal":
            return Entrance(address, "internal", "an authority of its own: devices must trust it once")
    raise NotReady(
        f"{address} is not a public address, and nobody gives a certificate for it",
        hint="take out [provider.vm] https, or set domain or public_ip",
    )


def _for(address: str, facts: Facts) -> Literal["ip", "sslip", "tailscale", "internal"]:
    match kind(address):
        case Kind.PUBLIC:
            return (
                "ip" if version(facts.caddy or facts.caddy_offered) >= _SHORTLIVED and ":" not in address else "sslip"
            )
        case Kind.CGNAT if facts.tailnet:
            return "tailscale"
        case _:
            return "internal"


def _outside(facts: Facts, dialled: str) -> str:
    """The address callers know: a public one of the host's own, else the one SSH reached, else its first."""
    try:
        reached = [str(ip_address(dialled))]
    except ValueError:
        reached = []
    for address in (*reached, *facts.addresses):
        if kind(address) is Kind.PUBLIC:
            return address
    return next(iter((*reached, *facts.addresses)), "127.0.0.1")


def site(bot: str, at: Entrance, options: Options, facts: Facts, port: int, drain_s: int) -> str:
    """The text of Caddy's file for this bot. It stays the same from release to release."""
    return render(
        "vm/site.caddy.j2",
        {
            "bot": bot,
            "address": at.url.rstrip("/"),
            "tls": at.tls,
            "acme_ca": options.acme_ca,
            "acme_ca_root": options.acme_ca_root,
            "port": port,
            "delay_s": drain_s if lets_streams_live(facts) else 0,
        },
    )


def spare_streams(facts: Facts, *, but: str = "") -> None:
    """`NotReady` if calls over WebSockets, of any bot `but` that one, would be cut by Caddy reading its files again."""
    cut = sum(front.sessions for front in facts.fronts if front.bot != but and _streams(facts, front))
    if cut:
        raise NotReady(
            f"{cut} calls over WebSockets run on the host, and Caddy {facts.caddy} would cut them by reading its files",
            hint="wait until they have ended (`voicedeploy status`), or install a newer one when no call runs:"
            " https://caddyserver.com/docs/install",
        )


def lets_streams_live(facts: Facts) -> bool:
    """Whether the Caddy that is there, or would be installed, can read its files without cutting WebSockets."""
    return version(facts.caddy or facts.caddy_offered) >= _STREAM_DELAY


def _streams(facts: Facts, front: Front) -> bool:
    """Whether calls of this front go through Caddy all the time, and its file does not say that they may live on."""
    bot = facts.of(front.bot)
    transport = next((r.transport for r in bot.releases if r.id == front.release), "")
    over_socket = transport in set(Transport) and isinstance(need(Transport(transport)), ServesHttp)
    return over_socket and "stream_close_delay" not in bot.site


def version(text: str) -> tuple[int, int]:
    """`v2.6.2` → (2, 6); (0, 0) where there is none."""
    match = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
