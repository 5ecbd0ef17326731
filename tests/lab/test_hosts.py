"""The hosts that other tests deploy to: what those tests rely on is true."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import hosts
from tests.lab.hosts import Host, LabError, image, network
from tests.lab.hosts.fixtures import MakeHost
from tests.lab.hosts.host import CGROUP
from tests.lab.hosts.state import STATE

# The first host of a week waits for the root file system.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

ROOT = Path(__file__).parent.parent.parent


def ssh(host: Host, folder: Path, command: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """By the OpenSSH client, as its user."""
    config = folder / f"{host.name}.config"
    if not config.exists():
        host.ssh_config(config, "there", BatchMode="yes", ConnectTimeout=5)
    return subprocess.run(
        ["ssh", "-F", str(config), "there", command],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def opens(host: Host, port: int) -> bool:
    try:
        socket.create_connection((host.address, port), timeout=1).close()
    except OSError:
        return False
    return True


SERVING = (
    "systemd-run --quiet python3 -m http.server 8000;"
    " for try in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null && break; sleep 0.2; done;"
    " exec 3<>/dev/tcp/127.0.0.1/8000"
)
"""On port 8000, also where the machine is busy."""


@pytest.fixture(scope="module")
def front(lab: None) -> Iterator[Host]:
    """One host for the tests that leave it as it was."""
    host = hosts.make("front", disk="600M")
    yield host
    hosts.drop(host)


def test_a_host_answers_ssh_and_its_user_may_do_everything(front: Host, tmp_path: Path) -> None:
    done = ssh(front, tmp_path, "hostname; whoami; sudo -n whoami; systemctl is-system-running")
    assert (done.returncode, done.stdout.split()) == (0, ["front", "ops", "root", "running"]), done.stderr


def test_its_key_is_the_one_that_was_said(front: Host, tmp_path: Path) -> None:
    assert ssh(front, tmp_path, "true").returncode == 0
    (known,) = (tmp_path / "known_hosts").read_text().splitlines()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    other = (tmp_path / "other.pub").read_text()
    (tmp_path / "known_hosts").write_text(f"{known.split()[0]} {other}")
    refused = ssh(front, tmp_path, "true")
    assert refused.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr


def test_what_is_not_said_is_not_there(front: Host) -> None:
    for program in ("caddy", "ufw", "curl", "pip", "uv", "docker"):
        assert front.run(f"command -v {program}", check=False).returncode != 0, program
    assert front.run("ldconfig -p | grep -E 'libopus|libGL'", check=False).returncode != 0
    assert front.run("python3 -m venv /tmp/v", check=False).returncode != 0
    assert front.run("python3 --version").stdout.startswith("Python 3.11.")


def test_sessions_know_the_certificates(front: Host, tmp_path: Path) -> None:
    said = ssh(front, tmp_path, "echo $SSL_CERT_FILE; sudo -n printenv SSL_CERT_FILE").stdout.split()
    assert said == ["/etc/ssl/certs/ca-certificates.crt"] * 2


def test_a_full_disk_is_full(front: Host, tmp_path: Path) -> None:
    assert ssh(front, tmp_path, "df --output=size -BM / | tail -1").stdout.strip() == "600M"
    front.fill_disk(leave_bytes=1_000_000)
    small = ssh(front, tmp_path, "head -c 100000 /dev/zero > ~/file")
    large = ssh(front, tmp_path, "head -c 2000000 /dev/zero > ~/file")
    front.free_disk()
    assert (small.returncode, large.returncode) == (0, 1)
    assert "No space left on device" in large.stderr
    assert ssh(front, tmp_path, "head -c 2000000 /dev/zero > ~/file && rm ~/file").returncode == 0


def test_the_disk_of_this_machine_is_never_filled(make_host: MakeHost) -> None:
    with pytest.raises(LabError, match="no disk of its own"):
        make_host("plain").fill_disk()


def test_memory_limits_bite(front: Host) -> None:
    take = "python3 -c 'x = bytearray(200_000_000)'"
    assert front.run(f"systemd-run --wait --quiet {take}", check=False).returncode == 0
    front.run(f"systemd-run --unit=greedy --wait --quiet -p MemoryMax=50M -p MemorySwapMax=0 {take}", check=False)
    journal = front.run("journalctl --unit=greedy --output=cat").stdout
    front.run("systemctl reset-failed")
    assert "oom-kill" in journal or "status=9/KILL" in journal, journal


def test_cpu_quotas_bite(front: Host) -> None:
    front.run("printf 'import time\\nwhile time.process_time() < 0.4: pass\\nprint(time.monotonic())' > /tmp/spin.py")
    begun = time.monotonic()
    said = front.run("systemd-run --wait --quiet --pipe -p CPUQuota=20% python3 /tmp/spin.py").stdout
    assert float(said) - begun > 1  # 2 s in a fifth of a processor


def test_a_cut_connection_ends_the_session_and_not_the_host(front: Host, tmp_path: Path) -> None:
    ssh(front, tmp_path, "true")
    argv = ["ssh", "-F", str(tmp_path / "front.config"), "there", "echo begun; sleep 60"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "begun\n"
        front.cut_ssh()
        assert session.wait(timeout=10) == 255
    assert ssh(front, tmp_path, "true").returncode == 0


def test_a_reboot_keeps_the_disk_and_nothing_else(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("again")
    boot = "cat /proc/sys/kernel/random/boot_id"
    before = ssh(host, tmp_path, f"{boot}; touch ~/kept; sudo touch /run/lost").stdout
    host.run("nft add table inet lost")
    begun = time.monotonic()
    host.reboot()
    assert time.monotonic() - begun < 20
    after = ssh(host, tmp_path, f"{boot}; ls ~/kept; ls /run/lost").stdout
    assert after.split()[0] != before.split()[0]
    assert after.split()[1:] == ["/home/ops/kept"]
    assert host.run("nft list tables").stdout == ""
    assert len(host.run("journalctl --list-boots --no-pager").stdout.splitlines()[1:]) == 2


def test_a_user_may_reboot_it_too(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("again")
    boot = ssh(host, tmp_path, "cat /proc/sys/kernel/random/boot_id").stdout
    ssh(host, tmp_path, "sudo systemctl reboot")
    for _ in range(100):
        done = ssh(host, tmp_path, "cat /proc/sys/kernel/random/boot_id")
        if done.returncode == 0 and done.stdout != boot:
            break
        time.sleep(0.2)
    else:
        pytest.fail(f"it did not come back: {done}")


def test_hosts_reach_each_other_until_one_is_off(make_host: MakeHost, tmp_path: Path) -> None:
    one, other = make_host("one"), make_host("other", disk="100M")
    ping = f"ping -c 1 -W 1 {other.address}"
    assert one.run(ping, check=False).returncode == 0
    assert opens(other, 22)
    other.run("touch /var/kept")
    for hard in (False, True):
        other.power_off(hard=hard)
        assert one.run(ping, check=False).returncode == 1
        assert not opens(other, 22)
        with pytest.raises(LabError, match="other is off"):
            other.run("true")
        other.power_on()
        assert one.run(ping, check=False).returncode == 0
        assert ssh(other, tmp_path, "ls /var/kept").returncode == 0


def test_a_pulled_plug_says_nothing(make_host: MakeHost) -> None:
    host = make_host("mute")
    with socket.create_connection((host.address, 22), timeout=5) as connection:
        assert connection.recv(100).startswith(b"SSH-2.0-")
        host.power_off(hard=True)
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.recv(100)


def test_sudo_with_a_password(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("asks", sudo="password", password="open sesame")  # noqa: S106
    refused = ssh(host, tmp_path, "sudo -n true")
    assert refused.returncode == 1
    assert "a password is required" in refused.stderr
    assert ssh(host, tmp_path, "sudo -S -p '' whoami", stdin="open sesame\n").stdout == "root\n"
    assert ssh(host, tmp_path, "sudo -S -p '' whoami", stdin="wrong\n").returncode == 1


def test_no_sudo(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("never", sudo="none")
    assert ssh(host, tmp_path, "sudo -n true").returncode == 1
    refused = ssh(host, tmp_path, "sudo -S -p '' true", stdin=f"{hosts.PASSWORD}\n")
    assert "not in the sudoers file" in refused.stderr


def test_root_logs_in_where_it_is_the_user(make_host: MakeHost, tmp_path: Path) -> None:
    assert ssh(make_host("bare", user="root"), tmp_path, "whoami").stdout == "root\n"


def test_a_host_without_python(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("lean", python=False)
    assert ssh(host, tmp_path, "ls /usr/bin/python3*; ls /usr/lib/python3*").stdout == ""
    host.run("apt-get -qq --no-download install -y python3-minimal && python3 -c 'import json'")


def test_a_host_with_ufw(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("walled", firewall="ufw")
    for _ in range(2):
        assert host.run("ufw status").stdout.startswith("Status: active")
        host.run(SERVING)
        assert not opens(host, 8000)
        host.reboot()
    host.run(f"{SERVING} && ufw allow 8000/tcp")
    assert opens(host, 8000)


def test_packages_are_at_hand_without_a_way_out(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("inland", uplink=False)
    assert opens(host, 22)
    begun = time.monotonic()
    assert (
        "No route to host"
        in host.run("ping -c 1 -W 5 198.51.100.1", check=False).stdout
        + host.run("exec 3<>/dev/tcp/198.51.100.1/80", check=False).stderr
    )
    host.run("DEBIAN_FRONTEND=noninteractive apt-get -qq install -y caddy ufw rsync")
    assert time.monotonic() - begun < 60
    assert host.run("systemctl is-active caddy").stdout == "active\n"
    assert opens(host, 80)


def test_apt_and_pip_reach_their_indexes(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("outward")
    apt = "sudo apt-get -qq update && sudo apt-get -qq install -y python3-venv jq >&2; jq --version"
    done = ssh(host, tmp_path, apt)
    assert done.stdout.startswith("jq-"), done.stderr
    pip = "python3 -m venv v && v/bin/pip -q install uv && v/bin/uv pip install -q --python v iniconfig && ls v/lib/*/*"
    done = ssh(host, tmp_path, pip)
    assert "iniconfig" in done.stdout, done.stderr


def test_this_machine_reaches_its_index_as_before(front: Host, tmp_path: Path) -> None:
    download = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--no-cache-dir"]
    subprocess.run([*download, "--dest", str(tmp_path), "iniconfig"], check=True, timeout=60)


def test_a_host_with_ipv6_only(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host("six", ipv4=False)
    assert ":" in host.address
    assert ssh(host, tmp_path, "ip -4 -oneline address show scope global").stdout == ""


def test_a_host_in_a_network_that_is_there(make_host: MakeHost) -> None:
    network.sh("ip", "netns", "add", "vdt-there")
    try:
        network.sh("ip", "-n", "vdt-there", "link", "set", "lo", "up")
        network.sh("ip", "-n", "vdt-there", "link", "add", "lan", "type", "bridge")
        network.sh("ip", "-n", "vdt-there", "addr", "add", "192.168.50.10/24", "dev", "lan")
        network.sh("ip", "-n", "vdt-there", "link", "set", "lan", "up")
        host = make_host("guest", netns="vdt-there")
        assert (host.address, host.namespace) == ("192.168.50.10", "vdt-there")
        host.reboot()
        hosts.drop(host)
        assert "192.168.50.10" in network.sh("ip", "-n", "vdt-there", "addr")
    finally:
        network.sh("ip", "netns", "del", "vdt-there")


def traces() -> dict[str, Any]:
    """Everything on this machine that a host could have changed."""
    commands = ("ip -oneline link", "ip -oneline addr", "ip route", "ip netns", "nft list ruleset", "iptables-save")
    said = {}
    for command in commands:
        out = subprocess.check_output(command.split(), text=True, stderr=subprocess.DEVNULL)
        # Comments with the time, counters, and lifetimes differ from moment to moment.
        said[command] = re.sub(r"^#.*|packets \d+ bytes \d+|\[\d+:\d+\]|\d+sec|tentative ", "", out, flags=re.M)
    forwards = sorted(Path("/proc/sys/net/ipv4/conf").glob("*/forwarding"))
    return {
        **said,
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "forwarding": {str(file): file.read_text() for file in forwards},
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{CGROUP}*")),
        "processes": sorted(path.name for path in Path("/proc").glob("[0-9]*") if is_ours(path)),
        "run": sorted(str(path) for path in Path("/run").rglob("*")),
        "state": sorted(str(path) for folder in ("hosts", "runs") for path in (STATE / folder).glob("*")),
    }


def is_ours(process: Path) -> bool:
    try:
        words = (process / "cmdline").read_text()
    except OSError:
        return False
    return str(STATE) in words


# The scripts run in a network and a /run of their own, where nobody else makes or removes anything meanwhile.
# What others have mounted is let go first, or it would be seen to go when they end.
ALONE = """
set -eu
for other in $(awk '$2 ~ "^/run/netns/|voicedeploy-lab" {print $2}' /proc/mounts); do umount --lazy $other || true; done
mount -t tmpfs tmpfs /run
mount --bind /dev/null /etc/resolv.conf
ip link set lo up
ip link add up0 type veth peer name up1
ip link set up1 up
ip addr add 198.51.100.2/24 dev up0
ip link set up0 up
ip route add default via 198.51.100.1
"""


def alone(script: str, state: Path) -> Any:
    image.root()
    done = subprocess.run(
        ["unshare", "--net", "--mount", "bash", "-c", ALONE + script],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "VOICEDEPLOY_LAB_STATE": str(state), "python": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def python(code: str) -> str:
    return f"$python - <<'P'\n{textwrap.dedent(code)}P\n"


LOOK = python("""
    import json
    from tests.lab.test_hosts import traces
    print(json.dumps(traces()))
""")


@pytest.mark.parametrize("forward", ["", "iptables -P FORWARD DROP"], ids=["plain", "beside docker"])
def test_nothing_is_left(tmp_path: Path, forward: str) -> None:
    work = python("""
        import json
        from tests.lab import hosts
        from tests.lab.test_hosts import traces
        one, other = hosts.make("one", uplink=False), hosts.make("other", disk="100M", firewall="ufw")
        six = hosts.make("six", ipv4=False)
        one.run(f"ping -c 1 -W 2 {other.address}")
        one.run("ping -c 1 -W 2 10.77.0.1")
        other.run("ping -c 1 -W 2 198.51.100.2")
        other.power_off()
        print(json.dumps(traces()))
        hosts.drop_all()
    """)
    before, during, after = alone(f"{forward}\n{LOOK}{work}{LOOK}", tmp_path)
    assert before == after
    for what in ("ip netns", "ip -oneline link", "nft list ruleset", "mounts", "forwarding", "cgroups", "processes"):
        assert during[what] != before[what], what


def test_what_a_killed_run_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    die = python("""
        import json, os, signal
        from tests.lab import hosts
        from tests.lab.test_hosts import traces
        hosts.make("left", disk="100M")
        print(json.dumps(traces()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    come = python("""
        from tests.lab import hosts
        hosts.begin()
        hosts.drop_all()
    """)
    before, during, left, after = alone(f"{LOOK}({die}) || true\n{LOOK}{come}{LOOK}", tmp_path)
    assert left["processes"] == during["processes"] != []
    assert before == after


def test_two_runs_share_the_lab(front: Host, tmp_path: Path) -> None:
    code = """
        from tests.lab import hosts
        print(hosts.make("front").address)
    """
    program = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert program.returncode == 0, program.stderr
    assert program.stdout.strip() != front.address
    assert ssh(front, tmp_path, "hostname").stdout == "front\n"


def test_a_name_is_said_where_something_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"need these packages: .*systemd-container"):
        network.require()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="need root"):
        network.require()
