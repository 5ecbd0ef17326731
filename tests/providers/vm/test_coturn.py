"""The host's own relay: what is planned, when it goes, and whom it lets through."""

import re
from ipaddress import ip_address

from voicedeploy_providers.vm import coturn, setup
from voicedeploy_providers.vm.facts import Ports
from voicedeploy_providers.vm.releasing import relay

from tests.providers.vm.seen import encoded, seen
from voicedeploy.plan import Remove, Stop, Write

MINE = Ports(7860, "20000-20007", relay="talk.example.org")
RUNS = {
    "coturn": "yes",
    "turn_secret": "yes",
    "turn_active": "active",
    "turn": [f"{path} {encoded(text)}" for path, text in coturn.texts("").items()],
}


def test_a_bare_host_gets_one_and_the_next_time_nothing_changes() -> None:
    steps = coturn.steps(seen(), "", "s" * 40)
    assert [step.subject for step in steps] == ["system", "secret", "relay", "relay", "relay", "relay"]
    (secret,) = (step.action for step in steps if isinstance(step.action, Write) and step.action.secret)
    assert (secret.path, secret.mode) == (coturn.SECRET, 0o600)
    assert "s" * 40 not in repr(steps)
    assert coturn.steps(seen(**RUNS), "", "s" * 40) == []
    assert [step.detail for step in coturn.steps(seen(**RUNS), "198.51.100.7", "s" * 40)] == [
        "/opt/voicedeploy/turn/start", "voicedeploy-turn.service, 3478/tcp and 3478/udp"
    ]  # fmt: skip
    assert len(coturn.steps(seen(**{**RUNS, "turn_active": "failed"}), "", "s" * 40)) == 1


def test_it_sends_to_the_host_and_to_nowhere_else() -> None:
    text = coturn.texts("")[f"{coturn.FOLDER}/turnserver.conf"]
    denied = [tuple(map(ip_address, span.split("-"))) for span in re.findall(r"^denied-peer-ip=(.+)$", text, re.M)]
    for peer in ("10.0.0.1", "172.17.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.1", "8.8.8.8",
                 "::1", "fd00::1", "fe80::1"):  # fmt: skip
        address = ip_address(peer)
        same = [(low, high) for low, high in denied if low.version == address.version]
        assert any(low <= address <= high for low, high in same), peer  # type: ignore[operator]
    assert "allowed-peer-ip" not in text, "the unit adds the one address as it begins"
    assert "no-cli" in text and "use-auth-secret" in text and "static-auth-secret" not in text


def test_its_ports_are_nobody_s() -> None:
    _, high = coturn.RELAYED
    assert high < 20000 and high < 32768
    assert coturn.findings(seen(), MINE) == []
    [taken] = coturn.findings(seen(tcp="3478 turnserver"), MINE)
    assert taken.code == "VD318" and "turnserver" in taken.message
    assert coturn.findings(seen(**RUNS, tcp="3478 turnserver"), MINE) == []
    [meets] = coturn.findings(seen(), Ports(7860, f"{high}-{high + 9}", relay="x"))
    assert meets.code == "VD319"
    assert coturn.findings(seen(tcp="3478 turnserver"), Ports(7860, "20000-20007")) == []


def test_exactly_its_port_is_opened_and_closed_again() -> None:
    ufw = "Status: active\n\nTo   Action  From\n"
    opened = [step.detail for step in setup.firewall("front-desk", seen(ufw=encoded(ufw)), MINE)]
    assert opened == [f"ufw allow {port}" for port in ("80/tcp", "443/tcp", "20000:20007/udp", "3478/tcp", "3478/udp")]
    ufw += "3478/tcp  ALLOW  Anywhere  # voicedeploy front-desk\n3478/udp  ALLOW  Anywhere  # voicedeploy front-desk\n"
    (closed,) = setup.close_relay("front-desk", seen(ufw=encoded(ufw)))
    assert closed.detail == "ufw: 3478/tcp 3478/udp"
    (closed,) = setup.close_relay("front-desk", seen(firewalld=encoded("  ports: 80/tcp 3478/tcp 3478/udp")))
    assert closed.detail == "firewalld: 3478/tcp 3478/udp"


def test_it_goes_with_the_last_bot_that_uses_it() -> None:
    one = {"bot": "front-desk", "front-desk__ports": encoded(MINE.text())}
    stop, remove = coturn.gone(seen(**RUNS, **one), "front-desk", files=True)
    assert isinstance(stop.action, Stop) and stop.action.pid_file == coturn.UNIT
    assert isinstance(remove.action, Remove) and coturn.FOLDER in remove.action.paths
    assert coturn.gone(seen(**RUNS, **one), "another") == []
    assert coturn.gone(seen(**one), "front-desk") == []


def test_its_addresses() -> None:
    assert relay(MINE) == tuple(f"turn:talk.example.org:3478?transport={way}" for way in ("udp", "tcp"))
    assert relay(Ports(7860, "", relay="2001:db8::1"))[0] == "turn:[2001:db8::1]:3478?transport=udp"
    assert relay(Ports(7860, "20000-20007")) == ()
