"""What `check` says of the relays in `transport.turn`: each of their addresses was asked for an address."""

import os
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from voicedeploy import turn
from voicedeploy.network import Transport
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy.turn import Asked, Outcome

_INSIDE = [
    ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
]


def asked(spec: Spec) -> list[Asked]:
    """What there is to try; nothing where the transport needs no relay."""
    if spec.transport.kind is not Transport.WEBRTC:
        return []
    found = [Asked(one.urls, one.secret, one.cloudflare, one.username, one.credential) for one in spec.transport.turn]
    for other in spec.transport.ice_servers:
        if urls := tuple(url for url in other.urls if url.startswith("turn")):
            found.append(Asked(urls, username=other.username, credential=other.credential))
    return found


def from_here(spec: Spec) -> list[Outcome]:
    """For a target whose secrets cannot be read: with those of the same name in this process's environment."""
    return turn.tried(asked(spec), dict(os.environ))


def findings(outcomes: Sequence[Outcome]) -> list[Finding]:
    return [_finding(outcome) for outcome in outcomes]


def _finding(outcome: Outcome) -> Finding:
    url, said = outcome.url, outcome.said
    match outcome.kind:
        case "given" if _inside(said):
            return Finding(
                "VD316", "warning", "turn", f"{url} gives {said}, an address that only its own network reaches",
                "set `external-ip` in coturn's file to its public address; on a LAN or a tailnet all is well",
            )  # fmt: skip
        case "given":
            return Finding("VD000", "ok", "turn", f"{url} gives {said}")
        case "refused":
            return Finding(
                "VD310", "error", "turn", f"{url} refuses the credentials: {said}",
                "set the server's own secret: voicedeploy secrets set NAME; or correct `username` and `credential`",
            )  # fmt: skip
        case "expired":
            return Finding(
                "VD311", "error", "turn", f"the credentials for {url} expired on {said}",
                'let them be made for each call: secret = "TURN_SECRET" in place of `username` and `credential`',
            )  # fmt: skip
        case "dead":
            return Finding(
                "VD312", "warning", "turn", f"{url} does not answer: {said}; every call waits for it",
                "start it, open its port, correct the address, or take it out of `transport.turn`",
            )  # fmt: skip
        case "no-secret":
            return Finding(
                "VD313", "warning", "turn", f"{url} was not tried: there is no value of {said} here",
                f"to try it, run `check` with {said} in its environment; or prove it: voicedeploy call --relay-only",
            )  # fmt: skip
        case "no-key":
            return Finding(
                "VD314", "error", "turn", f"{url}: its API does not accept this token for this key ({said})",
                "compare `cloudflare` with the dashboard's key ID; set its token again: voicedeploy secrets set NAME",
            )  # fmt: skip
        case "no-api":
            return Finding(
                "VD315", "warning", "turn", f"{url}: its API does not answer ({said})",
                "can the bot's machine reach rtc.live.cloudflare.com? Without it calls go on without this relay",
            )  # fmt: skip
    return Finding(
        "VD317", "warning", "turn", f"{url} gives no address: {said}",
        "its log says why: a quota, a range of ports that is used up, or a server that forbids relaying",
    )  # fmt: skip


def _inside(address: str) -> bool:
    try:
        return any(ip_address(address) in net for net in _INSIDE)
    except ValueError:
        return False
