import json

import pytest
from voicedeploy_providers.vm.entrance import entrance, site, spare_streams, version
from voicedeploy_providers.vm.facts import Facts
from voicedeploy_providers.vm.options import Options

from tests.providers.vm.seen import encoded, seen
from voicedeploy.errors import NotReady


@pytest.mark.parametrize(
    ("options", "facts", "dialled", "url", "tls"),
    [
        # A homelab: no authority in the world knows its address.
        ({}, {}, "192.168.1.10", "https://192.168.1.10/", "internal"),
        ({}, {}, "", "https://192.168.1.10/", "internal"),
        ({"domain": "talk.example.org"}, {}, "192.168.1.10", "https://talk.example.org/", "acme"),
        ({"domain": "talk.lan", "https": "internal"}, {}, "192.168.1.10", "https://talk.lan/", "internal"),
        # A VM with a public address, by what the Caddy there can do.
        ({}, {"address": "198.51.100.7"}, "198.51.100.7", "https://198-51-100-7.sslip.io/", "acme"),
        ({}, {"address": "198.51.100.7", "caddy": "v2.10.2"}, "198.51.100.7", "https://198.51.100.7/", "shortlived"),
        ({"public_ip": "198.51.100.9"}, {}, "10.0.0.4", "https://198-51-100-9.sslip.io/", "acme"),
        ({}, {"address": ["10.0.0.4", "198.51.100.7"]}, "10.0.0.4", "https://198-51-100-7.sslip.io/", "acme"),
        # A tailnet.
        ({}, {"tailnet": "home.tail1.ts.net"}, "100.101.2.3", "https://home.tail1.ts.net/", "tailscale"),
        ({}, {}, "100.101.2.3", "https://100.101.2.3/", "internal"),
        ({"https": "internal"}, {"address": "198.51.100.7"}, "", "https://198.51.100.7/", "internal"),
        ({}, {"address": "2001:db8::7"}, "2001:db8::7", "https://2001-db8--7.sslip.io/", "acme"),
        ({}, {"address": "fd00::7"}, "fd00::7", "https://[fd00::7]/", "internal"),
    ],
)
def test_by_the_class_of_the_address(
    options: dict[str, str], facts: dict[str, object], dialled: str, url: str, tls: str
) -> None:
    found = entrance(Options.model_validate(options), seen(**facts), dialled)
    assert (found.url, found.tls) == (url, tls)
    assert found.why


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"https": "acme"}, "needs a name"),
        ({"https": "sslip"}, "not a public address"),
        ({"https": "ip"}, "not a public address"),
        ({"https": "tailscale"}, "no tailnet"),
    ],
)
def test_what_nobody_gives_a_certificate_for(options: dict[str, str], message: str) -> None:
    with pytest.raises(NotReady, match=message) as caught:
        entrance(Options.model_validate(options), seen(), "192.168.1.10")
    assert caught.value.hint


def test_streams_live_through_a_reload_where_caddy_can_do_that() -> None:
    at = entrance(Options(domain="talk.example.org"), seen(), "")
    old = site("a", at, Options(), seen(caddy="v2.6.2"), 7860, 1920)
    new = site("a", at, Options(), seen(caddy="2.8.4"), 7860, 1920)
    assert "stream_close_delay" not in old and "stream_close_delay 1920s" in new
    assert "reverse_proxy 127.0.0.1:7860" in old and "keepalive off" in old


def talking(site: str = "", *, transport: str = "twilio", sessions: int = 2) -> Facts:
    """A host on which calls of a bot `a` run, with this text in Caddy's file for it."""
    told = {
        "bot": "a", "release": "r1", "ready": {"ready": True},
        "status": {"listening": True, "draining": False, "sessions": [{}] * sessions, "slots": {"max": 4, "warm": 1},
                   "max_duration_s": 60},
    }  # fmt: skip
    return seen(
        caddy="2.6.2",
        bot="a",
        a__site=encoded(site),
        a__release="r1",
        a__release__r1=encoded(f'transport = "{transport}"\n'),
        front=json.dumps(told),
    )


def test_no_file_is_read_again_while_that_would_cut_calls() -> None:
    with pytest.raises(NotReady, match="2 calls over WebSockets") as caught:
        spare_streams(talking("https://x/ {}\n"))
    assert "caddyserver.com" in caught.value.hint
    for harmless in (
        talking("stream_close_delay 1920s"),
        talking(transport="webrtc"),
        talking(transport="daily"),
        talking(sessions=0),
    ):
        spare_streams(harmless)
    spare_streams(talking(), but="a")


def test_another_authority() -> None:
    options = Options(domain="bot.lab", acme_ca="https://ca.lab/acme/local/directory", acme_ca_root="/etc/ca.pem")
    text = site("a", entrance(options, seen(), ""), options, seen(), 7860, 60)
    assert "\t\tca https://ca.lab/acme/local/directory\n\t\tca_root /etc/ca.pem\n" in text


def test_versions() -> None:
    assert [version(text) for text in ("v2.6.2", "2.10.0-1", "", "unknown")] == [(2, 6), (2, 10), (0, 0), (0, 0)]
