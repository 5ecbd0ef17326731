"""By what the real commands print, on Debian 12: ufw 0.36.2, firewalld 1.3.3, iptables 1.8.9, nft 1.0.6."""

from pathlib import Path

import pytest
from voicedeploy_providers.vm.network.firewall import Firewall, judge

SAMPLES = Path(__file__).parent / "samples"
RANGE = range(20000, 20016)


def sample(name: str) -> str:
    return (SAMPLES / name).read_text()


def state(outputs: dict[str, str], *ports: int, interface: str = "eth0") -> str:
    return judge(outputs, ports, interface).state


# --- ufw --------------------------------------------------------------------------------------------

UFW = """\
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), deny (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere                  \n\
80,443/tcp                 ALLOW IN    Anywhere                   # web
5000/udp                   ALLOW IN    10.0.0.0/8                \n\
20000:20015/udp            ALLOW IN    Anywhere                   # voicedeploy talk
20004/udp                  DENY IN     Anywhere                  \n\
30000:30010/udp on eth0    ALLOW IN    Anywhere                  \n\
22/tcp (v6)                ALLOW IN    Anywhere (v6)             \n\
40000:40010/udp (v6)       ALLOW IN    Anywhere (v6)             \n\
30000:30010/udp (v6) on eth0 ALLOW IN    Anywhere (v6)             \n
"""


@pytest.mark.parametrize("text", [UFW, UFW.replace(" IN ", "    ")], ids=["verbose", "status"])
def test_ufw(text: str) -> None:
    outputs = {"ufw": text, "iptables": "-P INPUT DROP"}
    assert judge(outputs, RANGE, "eth0") == Firewall("ufw", "open")  # the first rule that fits decides
    assert state(outputs, 5000) == "closed"  # only for some callers
    assert state(outputs, 30005) == "open"
    assert state(outputs, 30005, interface="wlan0") == "closed"
    assert state(outputs, 40005) == "closed"  # only over IPv6
    assert judge(outputs, range(20012, 20020), "eth0") == Firewall(
        "ufw", "closed", (20016, 20017, 20018, 20019), "ufw allow 20012:20019/udp"
    )


def test_ufw_that_lets_everything_in_but() -> None:
    text = UFW.replace("deny (incoming)", "allow (incoming)").replace(
        "20000:20015/udp            ALLOW IN ", "20000:20015/udp            DENY IN  "
    )
    assert state({"ufw": text}, 20001) == "closed"
    assert state({"ufw": text}, 6000) == "open"


def test_ufw_that_is_off_decides_nothing() -> None:
    assert judge({"ufw": "Status: inactive\n", "iptables": "-P INPUT ACCEPT\n"}, RANGE, "eth0").state == "open"


# --- firewalld --------------------------------------------------------------------------------------

FIREWALLD = """\
public (active)
  target: default
  icmp-block-inversion: no
  interfaces: eth0
  sources: \n\
  services: dhcpv6-client ssh
  ports: 20000-20015/udp 7000/tcp
  protocols: \n\
  forward: yes
  masquerade: no
  forward-ports: \n\
  source-ports: \n\
  icmp-blocks: \n\
  rich rules: \n\
\trule family="ipv4" port port="30000-30010" protocol="udp" accept
\trule family="ipv4" source address="10.0.0.0/8" port port="40000" protocol="udp" accept
\trule family="ipv4" port port="20009" protocol="udp" reject
"""


def test_firewalld() -> None:
    outputs = {"firewalld": FIREWALLD}
    assert state(outputs, *range(20000, 20009)) == "open"
    assert state(outputs, 30005) == "open"
    assert state(outputs, 40000) == "closed"
    assert state(outputs, 20009) == "closed"  # what refuses is asked first
    found = judge(outputs, range(21000, 21004), "eth0")
    assert found.fix == ("firewall-cmd --permanent --zone=public --add-port=21000-21003/udp && firewall-cmd --reload")
    assert state({"firewalld": FIREWALLD.replace("target: default", "target: ACCEPT")}, 21000) == "open"


def test_the_rules_that_firewalld_writes_say_the_same() -> None:
    outputs = {"nft": sample("firewalld-nft.json")}
    assert state(outputs, *RANGE) == "open"
    assert state(outputs, 30000, 30010) == "open"
    assert state(outputs, 21000) == "closed"
    assert state(outputs, 7000) == "closed"


# --- iptables ---------------------------------------------------------------------------------------

IPTABLES = """\
-P INPUT DROP
-P FORWARD ACCEPT
-P OUTPUT ACCEPT
-N blk
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p udp -m udp --dport 20000:20015 -j ACCEPT
-A INPUT -p udp -m multiport --dports 53,30000:30010 -j ACCEPT
-A INPUT -p udp -m udp --dport 31000 -m limit --limit 5/min -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 32000 -j ACCEPT
-A INPUT ! -i eth0 -p udp -m udp --dport 33000 -j ACCEPT
-A INPUT -j blk
-A blk -s 10.0.0.0/8 -j RETURN
-A blk -m limit --limit 5/min -j LOG --log-prefix "gone -j ACCEPT "
-A blk -j REJECT --reject-with icmp-port-unreachable
"""


@pytest.mark.parametrize(
    ("port", "expected"),
    [(20000, "open"), (20016, "closed"), (30005, "open"), (53, "open"), (31000, "unknown"), (32000, "closed")],
)
def test_iptables(port: int, expected: str) -> None:
    assert state({"iptables": IPTABLES}, port) == expected


def test_iptables_by_another_interface() -> None:
    assert state({"iptables": IPTABLES}, 33000) == "closed"
    assert state({"iptables": IPTABLES}, 33000, interface="eth1") == "open"


def test_the_command_that_opens_iptables() -> None:
    assert judge({"iptables": IPTABLES}, range(21000, 21004), "eth0") == Firewall(
        "iptables", "closed", (21000, 21001, 21002, 21003), "iptables -I INPUT -p udp --dport 21000:21003 -j ACCEPT"
    )
    assert judge({"iptables": IPTABLES}, [21000], "eth0").fix.endswith("--dport 21000 -j ACCEPT")


def test_the_rules_that_ufw_writes_say_the_same() -> None:
    outputs = {"iptables": sample("ufw-iptables.txt")}
    assert state(outputs, *RANGE) == "open"
    assert state(outputs, 30005) == "open"
    assert state(outputs, 5000) == "closed"
    assert state(outputs, 21000) == "closed"


def test_rules_that_only_count_change_nothing() -> None:
    assert (
        state({"iptables": "-P INPUT ACCEPT\n-N f2b\n-A INPUT -p tcp -j f2b\n-A f2b -s 9.9.9.9 -j DROP\n"}, 20000)
        == "open"
    )


# --- nftables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (20000, "open"),  # by a named set
        (20016, "closed"),
        (5000, "open"),  # by a map of verdicts
        (5001, "closed"),
        (6002, "open"),  # in a chain that is jumped to
        (6010, "open"),
        (22, "closed"),  # it is TCP that is let in there
        (30005, "closed"),  # only for some callers
        (40001, "unknown"),  # up to a rate
    ],
)
def test_nftables(port: int, expected: str) -> None:
    assert state({"nft": sample("nft.json")}, port) == expected


def test_the_command_that_opens_nftables() -> None:
    found = judge({"nft": sample("nft.json")}, RANGE[8:], "eth0")
    assert found.state == "open"
    found = judge({"nft": sample("nft.json")}, range(21000, 21016), "eth0")
    assert found.fix == "nft insert rule inet filter input udp dport 21000-21015 accept"


def test_packets_of_the_host_itself_do_not_count() -> None:
    assert state({"nft": sample("nft.json")}, 21000, interface="lo") == "open"


def test_a_host_without_a_firewall() -> None:
    empty = '{"nftables": [{"metainfo": {"version": "1.0.6"}}]}'
    assert judge({"nft": empty, "iptables": "-P INPUT ACCEPT\n"}, RANGE, "eth0").state == "open"
    assert judge({"nft": empty}, RANGE, "eth0") == Firewall("", "open")


def test_what_could_not_be_read_is_unknown() -> None:
    assert judge({}, RANGE, "eth0").state == "unknown"
    assert judge({"ufw": "ERROR: You need to be root to run this script"}, RANGE, "eth0").state == "unknown"
    assert judge({"nft": "Operation not permitted (you must be root)"}, RANGE, "eth0").state == "unknown"
