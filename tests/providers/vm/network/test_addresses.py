import pytest
from voicedeploy_providers.vm.network.addresses import Kind, kind


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("9.9.9.9", Kind.PUBLIC),
        ("198.51.100.7", Kind.PUBLIC),  # a range of documentation, which tests use as the internet
        ("2606:4700::1", Kind.PUBLIC),
        ("10.1.2.3", Kind.PRIVATE),
        ("172.31.255.255", Kind.PRIVATE),
        ("172.32.0.1", Kind.PUBLIC),
        ("192.168.1.10", Kind.PRIVATE),
        ("fd00::2", Kind.PRIVATE),
        ("100.64.0.1", Kind.CGNAT),
        ("100.127.255.255", Kind.CGNAT),
        ("100.128.0.1", Kind.PUBLIC),
        ("fd7a:115c:a1e0::1", Kind.CGNAT),
        ("169.254.3.4", Kind.LINK_LOCAL),
        ("fe80::1%eth0", Kind.LINK_LOCAL),
        ("127.0.0.1", Kind.LOOPBACK),
        ("::1", Kind.LOOPBACK),
    ],
)
def test_kinds(address: str, expected: Kind) -> None:
    assert kind(address) is expected


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match=r"example\.org"):
        kind("example.org")
