"""What `render` writes, what a first `up` would do and why it is refused: the whole text, kept in tests/golden/fly."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.fly.api import Fly

from tests.lab.local import free_port
from tests.providers.fly.standin import Standin
from tests.test_cli import Said, typed
from voicedeploy.api import wire

GOLDEN = Path(__file__).parents[2] / "golden" / "fly"

TRANSPORTS = {
    "webrtc": 'kind = "webrtc"\nturn = [{ cloudflare = "4b6f1d", secret = "CLOUDFLARE_TURN_TOKEN" }]',
    "daily": 'kind = "daily"',
    "twilio": 'kind = "twilio"',
    "websocket": 'kind = "websocket"',
    "udp": 'kind = "webrtc"',
}
USUAL = 'region = ["fra", "ams"]'
FLY = {"udp": f"udp = true\n{USUAL}"}
SECRETS = {
    "webrtc": ("CLOUDFLARE_TURN_TOKEN",),
    "daily": ("DAILY_API_KEY",),
    "twilio": ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
    "websocket": (),
    "udp": (),
}


@pytest.fixture
def standin(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    with Standin() as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        clients: list[Fly] = []
        made = Fly.from_env

        def kept() -> Fly:
            clients.append(made())
            return clients[-1]

        monkeypatch.setattr(Fly, "from_env", kept)
        yield standin
        for client in clients:
            client.close()
        assert not standin.violations


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "bot.py").write_text("async def bot(runner_args):\n    pass\n")
    (root / "requirements.txt").write_text("pipecat-ai[webrtc,daily,websocket]==1.14.0\n")
    return root


def write(project: Path, transport: str, fly: str = USUAL, session: str = "") -> None:
    (project / "voicedeploy.toml").write_text(
        f'[bot]\nname = "front-desk"\nprovider = "fly"\n[transport]\n{transport}\n[session]\n{session}\n'
        f"[pool]\nmax = 4\n[provider.fly]\n{fly}\n"
    )


def unnamed(text: str) -> str:
    """Without the release's name, which is another one with each line of the engine."""
    found = re.search(r"voicedeploy for release (\w+)|front-desk-(\w{7})-1\b", text)
    return text.replace(found[1] or found[2], "RELEASE") if found else text


def same(text: str, *name: str) -> None:
    assert text == GOLDEN.joinpath(*name).read_text("utf-8"), f"not what {'/'.join(('tests/golden/fly', *name))} holds"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_files_are_those_that_were_looked_at(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Nobody is asked, and no token is needed."""
    for name in ("FLY_API_TOKEN", "FLY_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    write(project, TRANSPORTS[transport], FLY.get(transport, USUAL))
    said = typed("render", "-o", str(tmp_path / "rendered"), cwd=project)
    assert said.returncode == 0, said
    release = re.search(r"for release (\w+)", (tmp_path / "rendered" / "front.toml").read_text("utf-8"))
    assert release
    for file in ("front.toml", "machine.json", "Dockerfile"):
        text = (tmp_path / "rendered" / file).read_text("utf-8")
        same(text.replace(release[1], "RELEASE"), transport, file)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_plan_of_a_first_up_is_the_one_that_was_looked_at(project: Path, standin: Standin, transport: str) -> None:
    write(project, TRANSPORTS[transport], FLY.get(transport, USUAL))
    for name in SECRETS[transport]:
        assert typed("secrets", "set", name, cwd=project, stdin="a-value\n").returncode == 0
    before = len(standin.changes)
    said = typed("up", "--dry-run", cwd=project)
    assert said.returncode == 0, said
    same(unnamed(said.stdout), transport, "plan.txt")
    assert len(standin.changes) == before


def test_direct_udp_is_marked_as_not_proven(project: Path, standin: Standin) -> None:
    write(project, TRANSPORTS["udp"], FLY["udp"])
    said = typed("check", cwd=project)
    assert said.returncode == 0, said
    same(re.sub(r"\d{4}-\d\d-\d\d", "TODAY", said.stdout), "udp", "check.txt")
    dry = typed("up", "--dry-run", cwd=project)
    assert "VD116" in dry.stderr and "not proven on the real platform" in dry.stderr
    assert not standin.changes


@pytest.mark.parametrize(
    "transport", [TRANSPORTS["websocket"], f"relay_only = true\n{TRANSPORTS['webrtc']}"], ids=["no media", "relay only"]
)
def test_an_address_is_asked_for_only_where_packets_come_to_it(project: Path, standin: Standin, transport: str) -> None:
    write(project, transport, FLY["udp"])
    said = typed("up", "--dry-run", cwd=project)
    if "relay_only" in transport:
        assert "CLOUDFLARE_TURN_TOKEN" in said.stderr
        assert typed("secrets", "set", "CLOUDFLARE_TURN_TOKEN", cwd=project, stdin="a-value\n").returncode == 0
        said = typed("up", "--dry-run", cwd=project)
    assert said.returncode == 0, said
    assert "dedicated" not in said.stdout and "UDP" not in said.stdout
    assert "+ address       shared_v4" in said.stdout


def test_machines_take_several_regions_by_turns(project: Path, standin: Standin) -> None:
    spread = f"{USUAL}\nspread = true"
    write(project, TRANSPORTS["websocket"], spread)
    told = typed("check", cwd=project)
    assert "fra, ams, by turns" in told.stdout, told
    said = typed("up", "--dry-run", "--json", cwd=project)
    assert said.returncode == 0, said
    made = [
        step["action"]["body"]
        for step in json.loads(said.stdout)["steps"]
        if "regions" in (step["action"].get("body") or {})
    ]
    assert [one["regions"] for one in made] == [["fra", "ams"], ["ams", "fra"]]
    write(project, TRANSPORTS["websocket"], 'region = "fra"\nspread = true')
    alone = typed("check", cwd=project)
    assert alone.returncode == 3 and "VD402" in alone.stdout, alone


# --- refusals ---------------------------------------------------------------------------------------


def refused(said: Said, code: int, name: str, standin: Standin) -> None:
    assert said.returncode == code, said
    same(re.sub(r"\d{4}-\d\d-\d\d", "TODAY", said.stderr), "refused", f"{name}.txt")
    assert not said.stdout
    assert not standin.changes


def test_webrtc_without_a_relay(project: Path, standin: Standin) -> None:
    write(project, 'kind = "webrtc"')
    refused(typed("up", "--yes", cwd=project), 3, "no-relay", standin)


def test_webrtc_with_nothing_but_stun(project: Path, standin: Standin) -> None:
    """It tells an address at which packets come in from some callers, and not from others."""
    write(project, 'kind = "webrtc"\nice_servers = ["stun:127.0.0.1:9"]')
    refused(typed("up", "--yes", cwd=project), 3, "stun-only", standin)


def test_direct_udp_without_a_call(project: Path, standin: Standin) -> None:
    write(project, TRANSPORTS["udp"], FLY["udp"])
    refused(typed("up", "--yes", "--no-call", cwd=project), 2, "no-call", standin)


def test_a_size_that_cannot_carry_a_call(project: Path, standin: Standin) -> None:
    write(project, TRANSPORTS["websocket"], 'size = "shared-cpu-1x"')
    refused(typed("up", "--yes", cwd=project), 3, "size", standin)


def test_a_region_that_is_none(project: Path, standin: Standin) -> None:
    write(project, TRANSPORTS["websocket"], 'region = ["waw"]')
    refused(typed("up", "--yes", cwd=project), 3, "region", standin)


def test_no_token(project: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLY_API_TOKEN")
    monkeypatch.delenv("FLY_ACCESS_TOKEN", raising=False)
    write(project, TRANSPORTS["websocket"])
    refused(typed("up", "--yes", cwd=project), 2, "no-token", standin)


def test_no_network(project: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PAUSES", ())
    monkeypatch.setenv("FLY_FLAPS_BASE_URL", f"http://127.0.0.1:{free_port()}")
    write(project, TRANSPORTS["websocket"])
    refused(typed("up", "--yes", cwd=project), 3, "no-network", standin)


def test_a_wrong_token(project: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLY_API_TOKEN", "FlyV1 fm2_of_nobody")
    write(project, TRANSPORTS["websocket"])
    said = typed("up", "--yes", cwd=project)
    refused(said, 3, "wrong-token", standin)
    assert "of_nobody" not in said.stderr


def test_an_app_of_somebody_else(project: Path, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    standin.tokens["FlyV1 fm2_theirs"] = "theirs"
    monkeypatch.setenv("FLY_API_TOKEN", "FlyV1 fm2_theirs")
    write(project, TRANSPORTS["websocket"], 'org = "theirs"')
    assert typed("secrets", "set", "A_KEY", cwd=project, stdin="a-value\n").returncode == 0
    before = len(standin.changes)
    monkeypatch.setenv("FLY_API_TOKEN", standin.token)
    write(project, TRANSPORTS["websocket"])
    said = typed("up", "--yes", cwd=project)
    assert said.returncode == 3, said
    same(said.stderr, "refused", "taken.txt")
    assert len(standin.changes) == before
