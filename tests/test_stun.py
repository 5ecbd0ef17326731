import pytest

from voicedeploy.stun import Server, server


@pytest.mark.parametrize(
    ("url", "host", "port", "transport"),
    [
        ("stun:stun.example.org", "stun.example.org", 3478, "udp"),
        ("stun:stun.example.org:19302", "stun.example.org", 19302, "udp"),
        ("turn:[2001:db8::1]:3478?transport=tcp", "2001:db8::1", 3478, "tcp"),
        ("turn:turn.example.org?transport=udp", "turn.example.org", 3478, "udp"),
        ("turns:turn.example.org", "turn.example.org", 5349, "tls"),
        ("turns:turn.example.org:443?transport=tcp", "turn.example.org", 443, "tls"),
    ],
)
def test_a_url_has_its_defaults(url: str, host: str, port: int, transport: str) -> None:
    found = server(url)
    assert (found.host, found.port, found.transport) == (host, port, transport)
    assert isinstance(found, Server)


@pytest.mark.parametrize("url", ["stun.example.org", "http://stun.example.org", "turn:", "stun:a:b"])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL"):
        server(url)
