"""What routers do with packets, as rules of nftables. The inner side is `lan`, the outer side `wan`."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["cone", "symmetric", "forward", "forward-random", "one-to-one", "no-udp"]
"""`cone`: the port is kept, for every destination. `symmetric`: another port for every destination, as carriers do.
`forward` and `forward-random` are the two with UDP forwarded to the host inside. `one-to-one` is a cloud's: an address
for one host. `no-udp` lets no UDP out."""


@dataclass(frozen=True)
class Router:
    """`host` is the one inside to which `tcp`, and UDP where it is forwarded, goes; ranges as nftables writes them."""

    kind: Kind
    host: str = ""
    outer: str = ""
    tcp: str = ""
    udp: str = ""

    def rules(self) -> str:
        random = " fully-random" if self.kind in ("symmetric", "forward-random") else ""
        out = [f"oifname wan snat to {self.outer}" if self.kind == "one-to-one" else f"oifname wan masquerade{random}"]
        inward = []
        if self.host and self.kind == "one-to-one":
            inward.append(f"iifname wan dnat to {self.host}")
        elif self.host:
            inward.append(f"iifname wan tcp dport {self.tcp} dnat to {self.host}")
            if self.kind in ("forward", "forward-random"):
                inward.append(f"iifname wan udp dport {self.udp} dnat to {self.host}")
        stop = ["iifname lan oifname wan meta l4proto udp drop"] if self.kind == "no-udp" else []
        return f"""\
table ip router {{
  chain translated {{ type nat hook postrouting priority 100;
    {_lines(out)}
  }}
  chain inward {{ type nat hook prerouting priority -100;
    {_lines(inward)}
  }}
  chain itself {{ type filter hook input priority 0;
    iifname wan meta l4proto udp ct state new drop
  }}
  chain through {{ type filter hook forward priority 0; policy drop;
    {_lines(stop)}
    iifname lan accept
    ct state established,related accept
    ct status dnat accept
  }}
}}
"""


def _lines(rules: list[str]) -> str:
    return "\n    ".join(rules)


def host_firewall(*, tcp: str, udp: str = "") -> str:
    """The rules of a host that lets nothing in but these ports."""
    media = f"udp dport {udp} accept" if udp else ""
    return f"""\
table inet filter {{
  chain input {{ type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname lo accept
    meta l4proto icmp accept
    tcp dport {tcp} accept
    {media}
  }}
}}
"""
