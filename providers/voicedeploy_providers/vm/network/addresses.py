"""What kind of network an address belongs to, by a list of networks.

Python's own `is_global` and `is_private` are both false for the carriers' shared range, and count the ranges of
documentation as private.
"""

from enum import StrEnum
from ipaddress import ip_address, ip_network


class Kind(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    """RFC 1918, or unique local."""
    CGNAT = "cgnat"
    """100.64.0.0/10: behind a carrier's NAT, or a tailnet."""
    LINK_LOCAL = "link-local"
    LOOPBACK = "loopback"


_NETWORKS = {
    Kind.LOOPBACK: ("127.0.0.0/8", "::1/128"),
    Kind.LINK_LOCAL: ("169.254.0.0/16", "fe80::/10"),
    Kind.CGNAT: ("100.64.0.0/10", "fd7a:115c:a1e0::/48"),  # the second is the tailnet's own
    Kind.PRIVATE: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
}
_LISTED = [(kind, ip_network(net)) for kind, nets in _NETWORKS.items() for net in nets]


def kind(address: str) -> Kind:
    """`ValueError` where it is no address."""
    parsed = ip_address(address.partition("%")[0])
    return next((kind for kind, net in _LISTED if parsed.version == net.version and parsed in net), Kind.PUBLIC)
