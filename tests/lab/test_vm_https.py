"""A browser on a bot's page over HTTPS: Caddy on the host, its certificate from an ACME authority of the lab."""

import asyncio
import socket
import ssl
import time
from pathlib import Path

import pytest
from voicedeploy_providers.vm.network import addresses

from tests.lab.browser import caller, chromium, speech
from tests.lab.hosts import Host
from tests.lab.hosts.fixtures import MakeHost
from tests.lab.ssh import Desk

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

AUTHORITY = """\
{
	skip_install_trust
}
ca.lab {
	tls internal
	acme_server
}
"""
ROOT = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"


@pytest.fixture
def target(make_host: MakeHost, warm_host: MakeHost) -> Host:
    """A host that trusts an authority nobody else knows; `authority` is where its root certificate is."""
    ca, host = make_host("ca"), warm_host("talk")
    ca.run("apt-get install -y -qq --no-install-recommends caddy")
    ca.run(f"cat > /etc/caddy/Caddyfile <<'E'\n{AUTHORITY}E\necho '{host.address} bot.lab' >> /etc/hosts")
    ca.run("systemctl restart caddy")
    deadline = time.monotonic() + 30
    while ca.run(f"[ -s {ROOT} ]", check=False).returncode:
        assert time.monotonic() < deadline, "the authority does not start"
        time.sleep(0.3)
    root = ca.run(f"cat {ROOT}").stdout
    host.run(f"cat > /etc/lab-ca.pem <<'E'\n{root}E\necho '{ca.address} ca.lab' >> /etc/hosts")
    return host


async def test_a_browser_talks_over_https(target: Host, tmp_path: Path) -> None:
    assert addresses.kind(target.address) is addresses.Kind.PRIVATE
    desk = Desk(tmp_path)
    desk.add(target)
    acme = 'acme_ca = "https://ca.lab/acme/local/directory"\nacme_ca_root = "/etc/lab-ca.pem"\n'
    desk.write(spec=f'[provider.vm]\ndomain = "bot.lab"\n{acme}')
    # This machine does not know the name: it is the browser that is told.
    up = await asyncio.to_thread(desk.up, target, "--no-call")
    assert up.code == 0, up
    assert up.json["url"] == "https://bot.lab/"
    issuer = await asyncio.to_thread(_issuer, target)
    assert "Caddy Local Authority" in issuer, issuer
    (one,) = desk.run("status", "--host", target.name, "--invite", "1h", "--json").json["deployments"]
    assert one["invite"].startswith("https://bot.lab/#invite=")

    microphone = speech(tmp_path / "says.wav", "hello who are you", lead_s=3, tail_s=2)
    trusted = ("--ignore-certificate-errors", f"--host-resolver-rules=MAP bot.lab {target.address}")
    async with chromium(microphone, *trusted) as browser, caller(browser, one["invite"]) as tab:
        assert await tab.page.evaluate("window.isSecureContext")
        await tab.press()
        await tab.until_phase("talking")

        async def heard() -> bool:
            now = await tab.heard()
            return now.energy > 0.001 and now.received > 100

        await tab.until("the bot's voice", heard, 30)
        assert (await tab.heard()).lost == 0
        assert await tab.page.evaluate("location.hash") == "", "the invite does not stay in the address bar"


def _issuer(host: Host) -> str:
    """Of the certificate that the host shows for bot.lab, once it has one from the authority."""
    trust = ssl.create_default_context(cadata=host.run("cat /etc/lab-ca.pem").stdout)
    deadline = time.monotonic() + 40
    while True:
        try:
            plain = socket.create_connection((host.address, 443), 5)
            with plain, trust.wrap_socket(plain, server_hostname="bot.lab") as wrapped:
                certificate = wrapped.getpeercert()
                assert certificate is not None
                return str(certificate["issuer"])
        except (OSError, ssl.SSLError):
            assert time.monotonic() < deadline, host.run("journalctl -u caddy -n 20 --no-pager").stdout
            time.sleep(0.5)
