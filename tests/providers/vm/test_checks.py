"""What stands in the way on a host, over what was seen of it."""

from pathlib import Path
from typing import Any

import pytest
from voicedeploy_providers.vm import checks
from voicedeploy_providers.vm.facts import Ports
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.ports import allot

from tests.providers.vm.seen import encoded, seen
from voicedeploy.spec import Spec, load


@pytest.fixture
def spec(small_project: Path) -> Spec:
    return load(small_project / "voicedeploy.toml")


def found(spec: Spec, options: Options | None = None, **facts: Any) -> dict[str, str]:
    """The findings that are not fine: code → severity, message and fix."""
    options, host = options or Options(), seen(**facts)
    mine = allot("front-desk", spec.pool.max, options, host)
    said = checks.findings(spec, options, host, mine, ())
    assert all(finding.fix for finding in said if finding.severity != "ok")
    return {f.code: f"{f.severity}: {f.message} ({f.fix})" for f in said if f.severity != "ok" and f.code != "VD007"}


def test_a_bare_debian_will_do(spec: Spec) -> None:
    assert found(spec) == {}


@pytest.mark.parametrize(
    ("facts", "code", "said"),
    [
        ({"systemd": "245"}, "VD201", "error: Debian GNU/Linux 12 (bookworm): systemd 245"),
        ({"systemd": None}, "VD201", "no systemd"),
        ({"apt": None}, "VD202", "no apt-get"),
        ({"disk_kb": "900000"}, "VD203", "error: 879 MB free in /opt"),
        ({"clock": "1799999000"}, "VD204", "error: the host's clock is 17 min behind"),
        ({"clock": "1800000100"}, "VD204", "100 s ahead of"),
        ({"clock": "1800086400"}, "VD204", "24 h ahead of"),
        ({"clock": "1705305600"}, "VD204", "1096 days behind"),
        ({"cores": "1"}, "VD205", "room for 2 calls, and pool.max is 4 (set pool.max = 2"),
        ({"memory_kb": "1000000"}, "VD205", "room for 0 calls"),
        ({"tcp": ["22 sshd", "80 nginx"]}, "VD206", "error: nginx listens on port 80"),
        ({"tcp": ["443 apache2"]}, "VD206", "apache2 listens on port 443"),
        ({"python": None}, "VD209", "warning: no Python there"),
        ({"python": "3.10"}, "VD209", "Python 3.10 there"),
        ({"bot": "front-desk", "front-desk__ports": encoded(Ports(7860, "20000-20007").text()), "tcp": "7860 nc"},
         "VD207", "error: nc has taken 7860/tcp"),
    ],
)  # fmt: skip
def test_each_obstacle_with_its_code(spec: Spec, facts: dict[str, Any], code: str, said: str) -> None:
    assert said in found(spec, **facts)[code]


def test_caddy_on_the_ports_of_the_web_is_ours(spec: Spec) -> None:
    assert found(spec, tcp=["80 caddy", "443 caddy"], caddy="v2.6.2") == {}


def test_ranges_of_ports(spec: Spec) -> None:
    assert "warning" in found(spec, Options(udp_ports="40000-40007"))["VD200"]
    assert "2 ports for 4 calls" in found(spec, Options(udp_ports="20000-20001"))["VD012"]
    other: dict[str, Any] = {"bot": "other", "other__ports": encoded(Ports(7861, "20004-20011").text())}
    assert "which other has" in found(spec, Options(udp_ports="20000-20007"), **other)["VD208"]
    assert found(spec, **other) == {}


def test_a_release_with_the_same_packages_needs_little(spec: Spec) -> None:
    from voicedeploy import environment

    there: dict[str, Any] = {"bot": "front-desk", "front-desk__env": environment.digest(spec), "disk_kb": "200000"}
    assert found(spec, **there) == {}
    assert "VD203" in found(spec, **{**there, "disk_kb": "40000"})


def test_a_caddy_that_cuts_sockets(small_project: Path) -> None:
    file = small_project / "voicedeploy.toml"
    file.write_text(file.read_text() + '\n[transport]\nkind = "websocket"\n')
    spec = load(file)
    assert "warning: Caddy 2.6.2-5 cuts WebSockets" in found(spec)["VD304"]
    assert "VD304" not in found(spec, caddy="v2.10.2")
