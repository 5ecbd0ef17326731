"""What the local provider sees in the way, with real sockets and files."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.local import Local

from voicedeploy.errors import SpecError
from voicedeploy.provider import Finding
from voicedeploy.spec import load


@pytest.fixture(autouse=True)
def own_state(home: Path) -> None:
    """No test looks at what runs here for real."""


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def found(root: Path, extra: str = "", **options: object) -> dict[str, Finding]:
    """The findings that are not fine, by code."""
    (root / "voicedeploy.toml").write_text(f'[bot]\nname = "front-desk"\n{extra}')
    spec = load(root / "voicedeploy.toml")
    options = {"port": free_port(socket.SOCK_STREAM), "udp_ports": "21900-21907", **options}
    return {f.code: f for f in Local.configure(options).check(spec) if f.severity != "ok"}


def test_a_project_that_is_fine_but_not_locked(small_project: Path) -> None:
    assert found(small_project).keys() <= {"VD007", "VD014"}


def test_no_entry(small_project: Path) -> None:
    (small_project / "bot.py").unlink()
    assert "bot.entry" in found(small_project)["VD003"].fix


def test_an_entry_that_is_not_python(small_project: Path) -> None:
    (small_project / "bot.py").write_text("async def bot(:\n")
    assert "bot.py" in found(small_project)["VD004"].message


def test_an_entry_without_the_function(small_project: Path) -> None:
    (small_project / "bot.py").write_text("async def run(args): ...\n")
    assert "async def bot(runner_args)" in found(small_project)["VD005"].message


def test_an_entry_that_imports_the_function(small_project: Path) -> None:
    (small_project / "bot.py").write_text("from agent import bot\n")
    assert "VD005" not in found(small_project)


def test_no_dependencies(small_project: Path) -> None:
    (small_project / "requirements.txt").unlink()
    assert found(small_project)["VD006"].severity == "error"


def test_a_lock_file_without_webrtc(small_project: Path) -> None:
    (small_project / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "0"\n')
    (small_project / "uv.lock").write_text('version = 1\n[[package]]\nname = "pipecat-ai"\n')
    assert "pipecat-ai[webrtc]" in found(small_project)["VD008"].fix
    (small_project / "uv.lock").write_text('version = 1\n[[package]]\nname = "aiortc"\n')
    assert "VD008" not in found(small_project)


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("websocket", "websocket"), ("twilio", "websocket"), ("daily", "daily"), ("livekit", "livekit")],
)
def test_every_transport_needs_its_packages(small_project: Path, kind: str, extra: str) -> None:
    table = f'[transport]\nkind = "{kind}"\n'
    assert (
        found(small_project, table)["VD008"].fix
        == f"write pipecat-ai[{','.join(sorted({extra, 'webrtc'}))}]==1.14.0 in requirements.txt"
    )
    (small_project / "requirements.txt").write_text(f"pipecat-ai[{extra}]==1.14.0\n")
    assert "VD008" not in found(small_project, table)


def test_the_transport_may_need_secrets_that_the_bot_does_not_name(small_project: Path) -> None:
    finding = found(small_project, '[transport]\nkind = "plivo"\n')["VD010"]
    assert finding.fix == "voicedeploy secrets set PLIVO_AUTH_ID PLIVO_AUTH_TOKEN"
    assert "`plivo` does not work without" in finding.message


def test_a_carrier_does_not_reach_this_machine_but_a_tunnel(small_project: Path) -> None:
    table = '[transport]\nkind = "exotel"\n'
    assert "127.0.0.1" in found(small_project, table)["VD220"].message
    assert "VD220" not in found(small_project, f'{table}[access]\npublic_url = "https://t.example.org"\n')
    assert "VD220" not in found(small_project, '[transport]\nkind = "websocket"\n')


def test_secrets_that_are_not_set(small_project: Path) -> None:
    finding = found(small_project, 'secrets = ["B_KEY", "A_KEY"]\n')["VD010"]
    assert finding.fix == "voicedeploy secrets set A_KEY B_KEY"


def test_a_port_that_another_program_holds(small_project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        finding = found(small_project, port=port)["VD011"]
    assert str(port) in finding.message
    assert "port =" in finding.fix


def test_too_few_udp_ports(small_project: Path) -> None:
    assert "21900-21907" in found(small_project, udp_ports="21900-21901")["VD012"].fix


def test_udp_ports_that_other_programs_hold(small_project: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))  # noqa: S104  (any address is what a bot binds)
        port = other.getsockname()[1]
        finding = found(small_project, "[pool]\nmax = 1\n", udp_ports=f"{port}-{port}")["VD013"]
    assert finding.severity == "error"


@pytest.fixture
def stun_server() -> Iterator[int]:
    """A STUN server that answers binding requests, on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def answer() -> None:
            try:
                request, address = server.recvfrom(2048)
            except OSError:
                return
            server.sendto(struct.pack("!HHI", 0x0101, 0, 0x2112A442) + request[8:20], address)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
    thread.join()


def test_a_stun_server_that_answers(small_project: Path, stun_server: int) -> None:
    extra = f'[transport]\nice_servers = ["stun:127.0.0.1:{stun_server}"]\n'
    assert "VD015" not in found(small_project, extra)


def test_a_silent_stun_server_costs_every_call_five_seconds(small_project: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        extra = f'[transport]\nice_servers = ["stun:127.0.0.1:{silent.getsockname()[1]}"]\n'
        # Only WebRTC asks it.
        assert "VD015" not in found(small_project, f'{extra}kind = "websocket"\n')
        finding = found(small_project, extra)["VD015"]
    assert "5 s" in finding.message


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"port": "7860"}, "port"),
        ({"port": 70000}, "port"),
        ({"prot": 1}, "prot"),
        ({"udp_ports": "9-1"}, "udp_ports"),
        ({"udp_ports": "80-90"}, "udp_ports"),
        ({"host": "example.org"}, "host"),
        ({"nets": ["192.168.1.1/24"]}, "nets"),
    ],
)
def test_wrong_options_name_file_key_and_remedy(options: dict[str, object], key: str) -> None:
    with pytest.raises(SpecError) as caught:
        Local.configure(options)
    assert caught.value.message.startswith(f"voicedeploy.toml: provider.local.{key}")
    assert caught.value.hint
