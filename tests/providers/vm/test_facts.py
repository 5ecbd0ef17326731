import json
import subprocess

from voicedeploy_providers.vm.facts import SCRIPT, Ports, parse

from tests.providers.vm.seen import encoded, seen


def test_a_bare_host() -> None:
    host = seen()
    assert (host.system, host.systemd, host.cores) == ("Debian GNU/Linux 12 (bookworm)", 252, 4)
    assert host.memory == 8 * 2**30 and host.disk_free == 40 * 2**30
    assert host.ephemeral == (32768, 60999)
    assert abs(host.skew_s) < 1
    assert not host.bots and not host.fronts and not host.ufw_active
    assert host.of("front-desk").ports is None


def test_a_bot_that_stands() -> None:
    front = {
        "bot": "front-desk",
        "release": "abc1234",
        "ready": {"ready": False, "reason": "busy"},
        "status": {
            "listening": True,
            "draining": False,
            "sessions": [{"id": "1"}],
            "slots": {"max": 4, "busy": 1, "warm": 2},
            "max_duration_s": 1800,
        },
    }
    host = seen(
        **{
            "bot": ["front-desk"],
            "front-desk__live": encoded("abc1234\n"),
            "front-desk__history": encoded("0000001\nabc1234\n"),
            "front-desk__ports": encoded(Ports(7860, "20000-20007").text()),
            "front-desk__key": "yes",
            "front-desk__release": ["abc1234", "0000001"],
            "front-desk__release__abc1234": encoded('created_at = "2026-11-27T10:00:00+00:00"\nenvironment = "e1"\n'),
            "front-desk__unit__abc1234": "active enabled",
            "front-desk__unit__0000001": "inactive disabled",
            "front-desk__env": "e1",
            "front": [json.dumps(front), "not a front", json.dumps({"bot": "x"})],
            "tcp": ["22 sshd", "7860 python"],
        }
    )
    bot = host.of("front-desk")
    assert bot.ports == Ports(7860, "20000-20007")
    assert bot.live == "abc1234" and bot.history == ("0000001", "abc1234")
    assert [(r.id, r.runs, r.enabled, r.environment) for r in bot.releases] == [
        ("abc1234", True, "enabled", "e1"),
        ("0000001", False, "disabled", ""),
    ]
    (only,) = host.fronts
    assert (only.sessions, only.slots, only.warm, only.reason) == (1, 4, 2, "busy")
    assert host.listening == {22: "sshd", 7860: "python"}


def test_files_that_are_damaged_count_as_absent() -> None:
    host = seen(**{"bot": "a", "a__ports": encoded("tcp = "), "a__deployment.toml": encoded("[")})
    assert host.of("a").ports is None and host.of("a").record == {}


def test_the_script_looks_at_this_very_machine_and_changes_nothing() -> None:
    done = subprocess.run(["sh", "-s"], input=SCRIPT, capture_output=True, text=True, check=True)
    host = parse(done.stdout)
    assert host.cores >= 1 and host.memory > 2**28 and host.disk_free > 0
    assert host.machine and abs(host.skew_s) < 5
    assert subprocess.run(["sh", "-n"], input=SCRIPT, text=True, check=False).returncode == 0
