"""`[provider.vm] turn = true` on a real host: coturn beside the bot, for callers, and for nothing else."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import TurnTransport, create_turn_endpoint

from tests.lab.hosts import Host
from tests.lab.hosts.fixtures import MakeHost
from tests.lab.ssh import Desk, run_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SPEC = "[provider.vm]\nturn = true\n"


def granted(host: Host) -> tuple[str, str]:
    """What a caller is told: name and password for the relay."""
    ask = (
        'exec "$(ls -d /opt/voicedeploy/engine/*/ | head -n 1)".venv/bin/python -I -c "'
        "import glob, httpx, json; s = glob.glob('/run/voicedeploy/talker/*/front.sock')[0]; "
        "k = open('/opt/voicedeploy/bots/talker/key').read().strip(); "
        "c = httpx.Client(transport=httpx.HTTPTransport(uds=s)); "
        "a = c.post('http://front/start', json={}, headers={'Authorization': 'Bearer ' + k}).json(); "
        "c.delete('http://front/sessions/' + a['sessionId']); print(json.dumps(a['iceConfig']['iceServers']))\""
    )
    (server,) = json.loads(host.run(ask).stdout.splitlines()[-1])
    assert server["urls"] == [f"turn:{host.address}:3478?transport={way}" for way in ("udp", "tcp")]
    return server["username"], server["credential"]


async def sent(host: Host, peer: str, credentials: tuple[str, str], way: str) -> int:
    """The error with which the relay refuses to send to `peer`; 0 if it does not."""
    transport, _ = await create_turn_endpoint(
        asyncio.DatagramProtocol, (host.address, 3478), *credentials, transport=way
    )
    assert isinstance(transport, TurnTransport)
    try:
        await transport._TurnTransport__inner_protocol.channel_bind(0x4000, (peer, 9999))  # type: ignore[attr-defined]
    except TransactionFailed as error:
        return int(error.response.attributes["ERROR-CODE"][0])
    finally:
        transport.close()
    return 0


def test_a_relay_comes_and_goes_with_the_bot(warm_host: MakeHost, tmp_path: Path) -> None:
    host = warm_host("relayed")
    desk = Desk(tmp_path)
    desk.add(host)
    desk.write(spec=SPEC)
    up = desk.up(host)
    assert up.code == 0, up
    again = desk.up(host)
    assert again.code == 0 and not [step for step in again.json["steps"] if step["summary"].startswith("relay")], again

    call = run_of(desk.popen("call", "--host", host.name, "--turns", "1", "--relay-only", "--json"))
    assert call["ok"], call["error"]
    assert call["candidate_pair"]["local"].startswith(f"relay {host.address}:199")
    credentials = granted(host)
    for way in ("udp", "tcp"):
        assert asyncio.run(sent(host, host.address, credentials, way)) == 0
        for peer in ("127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "8.8.8.8"):
            assert asyncio.run(sent(host, peer, credentials, way)) == 403, peer

    secret = host.run("cat /opt/voicedeploy/turn/secret").stdout.strip()
    assert len(secret) > 32
    # In two halves, so that the search does not find itself.
    seen = host.run(
        "{ journalctl --no-pager; systemctl cat 'voicedeploy-*'; cat /proc/[0-9]*/cmdline; "
        "cat /opt/voicedeploy/bots/talker/releases/*/front.toml /opt/voicedeploy/turn/[!s]*; } 2>/dev/null "
        f"| grep -a -c -e '{secret[:9]}[{secret[9]}]{secret[10:]}' || true"
    )
    assert seen.stdout.strip() == "0"
    assert host.run("stat -c '%U %a' /opt/voicedeploy/turn/secret").stdout.strip() == "root 600"
    score = host.run("systemd-analyze security --no-pager voicedeploy-turn.service").stdout
    match = re.search(r"Overall exposure level for .*: ([\d.]+)", score)
    assert match and float(match[1]) <= 2.0, score
    listening = host.run("ss -Hlntup | grep turnserver").stdout
    ports = re.findall(rf" {re.escape(host.address)}:(\d+) ", listening)
    # What was lent above is held for ten minutes.
    assert len(ports) == len(listening.splitlines()) and "3478" in ports, listening
    assert all(port == "3478" or 19900 <= int(port) <= 19999 for port in ports), listening
    assert host.run("systemctl is-enabled coturn", check=False).stdout.strip() == "disabled"

    down = desk.run("down", "--host", host.name, "--yes", "--json")
    assert down.code == 0, down
    assert host.run("ss -Hlntup | grep -c turnserver || true").stdout.strip() == "0"
    assert host.run("ls -d /opt/voicedeploy /etc/systemd/system/voicedeploy-turn.service", check=False).stdout == ""
