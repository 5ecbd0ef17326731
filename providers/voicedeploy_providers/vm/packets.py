"""Whether packets of a call get in on this host: looked at there, tried from here."""

from collections.abc import Sequence
from dataclasses import dataclass

from voicedeploy.errors import StepFailed
from voicedeploy.network import Offer, OpenUdp
from voicedeploy.options import ports as port_range
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy_providers.vm.facts import Ports
from voicedeploy_providers.vm.network import firewall, looking, probing, reach
from voicedeploy_providers.vm.network.addresses import Kind, kind
from voicedeploy_providers.vm.network.reach import Heard, Prediction, Settings
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.ssh import Shell

_OPENED = ("ufw", "firewalld")


@dataclass(frozen=True)
class Packets:
    """`settings` are those that suit the host best, what the user set included; `prediction` is about them."""

    seen: looking.Seen
    prediction: Prediction
    settings: Settings
    inside: bool
    """Tried from the host's own network, where a router may not turn packets round."""
    opens: str = ""
    """The firewall on the host that drops them now, and that `up` opens."""

    def offer(self) -> Offer:
        if self.opens:
            public = self.seen.outward and kind(self.seen.outward) is Kind.PUBLIC
            return Offer(OpenUdp(self.settings.udp_ports, "nic" if public else "lan"))
        return Offer(reach.udp_in(self.prediction, self.seen, self.settings))

    def findings(self) -> list[Finding]:
        said = self.prediction
        found = [Finding("VD302", "warning", "network", note, "see docs/concepts/packets.md") for note in
                 reach.notes(self.seen, self.settings)]  # fmt: skip
        if not any("." in one.address and one.kind is not Kind.LOOPBACK for one in self.seen.addresses):
            said_so = "the host has no IPv4 address: callers without IPv6 do not reach it"
            found.append(Finding("VD303", "warning", "network", said_so, "give it one, beside the IPv6 address"))
        doubt = "; tried from inside the same network, where some routers turn no packets round" if self.inside else ""
        if self.opens:
            now = f"{self.opens} drops UDP {self.settings.udp_ports} now; `up` opens it"
            return [*found, Finding("VD000", "ok", "callers", now)]
        if said.heard is Heard.EVERYBODY:
            return [*found, Finding("VD000", "ok", "callers", said.reason)]
        if said.heard is Heard.NOBODY:
            message = f"nobody is heard: {said.reason}{doubt}"
            return [*found, Finding("VD301", "error", "callers", message, said.fix, about_packets=True)]
        who = {Heard.SAME_NETWORK: "only callers on the same network", Heard.ALL_BUT_SYMMETRIC: "not from mobile data"}
        message = f"{who[said.heard]}: {said.reason}{doubt}"
        return [*found, Finding("VD300", "warning", "callers", message, said.fix or "see docs/guide/homelab.md")]


def tried(shell: Shell, spec: Spec, options: Options, udp: str, dialled: str) -> Packets | None:
    """Takes 0.3 s where all is open, some seconds where not. None where the host has no Python to look with."""

    def run(script: str, args: Sequence[str]) -> str:
        return shell.run(script, args=args, what="looking at the network").out

    stun = tuple(url for server in spec.transport.ice_servers for url in server.urls if url.startswith("stun:"))
    turn = tuple(url for server in spec.transport.turn for url in server.asked)
    wanted = Settings(udp, options.public_ip, options.nets, stun, turn)
    asked = port_range(udp)
    try:
        seen = looking.look(run, asked, stun=stun, turn=turn)
        address = reach.where_to_try(seen, options.public_ip)
        reached = probing.try_ports(shell.stream, address, asked) if address else probing.Reached("")
    except StepFailed:
        return None
    judged = firewall.judge(seen.firewalls, asked, seen.interface)
    settings = reach.advise(seen, reached, wanted).settings
    inside = bool(address) and bool(dialled) and kind(dialled) is Kind.PRIVATE
    opens = judged.name if judged.state == "closed" and judged.name in _OPENED else ""
    return Packets(seen, reach.predict(seen, reached, judged, settings), settings, inside, opens)


def remembered(mine: Ports) -> Offer:
    """What an earlier `up` proved by a call."""
    return Offer(OpenUdp(mine.udp, "nat" if mine.public_ip else "nic"))
