"""The program for the host, run as on a host: a Python that knows nothing of ours, fed by a pipe."""

import ast
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.resources import files

import pytest
from voicedeploy_providers.vm.network.looking import SCRIPT, Mapped, look, mapping, parse, program
from voicedeploy_providers.vm.network.probing import probe, try_ports

from voicedeploy.errors import StepFailed

RANGE = range(21960, 21964)


def run(script: str, args: Sequence[str]) -> str:
    done = subprocess.run(["sh", "-c", script, "sh", *args], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def stream(script: str, args: Sequence[str]) -> Iterator[str]:
    with subprocess.Popen(
        ["sh", "-c", script, "sh", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield from process.stdout


class Stun:
    """Answers binding requests with the sender's address, its port shifted: a router that another one sees."""

    def __init__(self, shift: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._shift = shift
        self.url = f"stun:127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                data, (host, port) = self._socket.recvfrom(2048)
            except OSError:
                return
            address = struct.unpack("!I", socket.inet_aton(host))[0] ^ 0x2112A442
            value = struct.pack("!HHI", 1, ((port + self._shift) & 0xFFFF) ^ 0x2112, address)
            software = struct.pack("!HH", 0x8022, 3) + b"lab\0"
            body = software + struct.pack("!HH", 0x0020, len(value)) + value
            self._socket.sendto(struct.pack("!HH", 0x0101, len(body)) + data[4:20] + body, (host, port))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def stun() -> Iterator[list[str]]:
    servers = [Stun(), Stun()]
    yield [one.url for one in servers]
    for one in servers:
        one.close()


def test_it_runs_on_python_3_9() -> None:
    text = files("voicedeploy_providers.vm.network").joinpath("on_host.py").read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_a_look(stun: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", RANGE[1]))  # noqa: S104
        seen = look(run, RANGE, stun=stun, servers=())
    assert seen.mapped is Mapped.ON_NIC
    assert seen.public == "127.0.0.1"
    assert seen.busy == (RANGE[1],)
    assert seen.silent == ()
    assert seen.ephemeral[0] < seen.ephemeral[1]
    assert "127.0.0.1" in {one.address for one in seen.addresses}
    (lo,) = {one.net for one in seen.addresses if one.address == "127.0.0.1"}
    assert lo == "127.0.0.0/8"


def test_silent_servers_and_relays_are_told(stun: list[str]) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        silent.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{silent.getsockname()[1]}"
        over_tcp = f"turn:127.0.0.1:{tcp.getsockname()[1]}?transport=tcp"
        turn = [stun[0].replace("stun:", "turn:"), f"turn:{dead}", over_tcp, "turns:127.0.0.1:9"]
        began = time.monotonic()
        seen = look(run, RANGE, stun=[*stun, f"stun:{dead}"], turn=turn, servers=())
        assert time.monotonic() - began < 8
    assert seen.silent == (dead,)
    assert seen.relays[turn[0]] == ""
    assert seen.relays[turn[1]] == "no answer over UDP"
    assert seen.relays[turn[2]] == ""
    assert "refused" in seen.relays[turn[3]]


def test_what_a_login_prints_is_skipped() -> None:
    text = run(SCRIPT, (program("look", ports=[], stun=[], relays={}),))
    assert parse("Welcome to Debian\n" + text).mapped is Mapped.BLOCKED


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], Mapped.BLOCKED),
        ([("10.0.0.5", 20000)], Mapped.ON_NIC),
        ([("198.51.100.2", 20000), ("198.51.100.2", 20000)], Mapped.PORT_KEPT),
        ([("198.51.100.2", 61000), ("198.51.100.2", 61000)], Mapped.CONE),
        ([("198.51.100.2", 61000), ("198.51.100.2", 61001)], Mapped.SYMMETRIC),
        ([("198.51.100.2", 20000), ("198.51.100.3", 20000)], Mapped.SYMMETRIC),
        ([("198.51.100.2", 20000)], Mapped.UNSURE),
    ],
)
def test_mapping(seen: list[tuple[str, int]], expected: Mapped) -> None:
    assert mapping(20000, seen, {"127.0.0.1", "10.0.0.5"}) is expected


def test_every_open_port_answers_at_once_and_the_echo_ends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", RANGE[2]))  # noqa: S104
        began = time.monotonic()
        reached = try_ports(stream, "127.0.0.1", RANGE)
        assert time.monotonic() - began < 3  # not the time to live
    assert reached.busy == (RANGE[2],)
    assert reached.answered == reached.asked == (RANGE[0], RANGE[1], RANGE[3])
    assert reached.missing == ()
    assert reached.seen_from == "127.0.0.1"


def test_without_the_nonce_there_is_no_answer_and_it_ends_by_itself() -> None:
    text = program("echo", ports=list(RANGE), nonce="right", ttl_s=1.0)
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-I", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(text)
        process.stdin.close()
        assert process.stdout.readline() == "LISTEN 4 BUSY []\n"
        assert probe("127.0.0.1", [RANGE[0]], b"wrong").answered == ()
        assert probe("127.0.0.1", [RANGE[0]], b"righ").answered == ()
        assert process.wait(10) == 0
    assert time.monotonic() - began < 8


def test_nobody_sees_the_nonce_in_the_list_of_processes() -> None:
    for line in stream(SCRIPT, (program("echo", ports=[RANGE[0]], nonce="hidden-nonce", ttl_s=1.5),)):
        assert line.startswith("LISTEN 1")
        # sh itself has it here; over SSH a script and its arguments come by standard input.
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
        pythons = [one for one in shown if one.split()[0].endswith("python3")]
        assert any(one.endswith("python3 -I -") for one in pythons)
        assert not any("hidden-nonce" in one for one in pythons)


def test_a_host_without_python_is_told() -> None:
    with pytest.raises(StepFailed, match="could not be asked"):
        try_ports(lambda script, args: iter(["sh: python3: not found"]), "127.0.0.1", RANGE)
