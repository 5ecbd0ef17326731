"""One bot, by one way after the other, on this machine: heard on each, no call cut, and no trace at the end."""

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.serve.rooms
from tests.lab import warm
from tests.lab.local import Place
from tests.serve.rooms import daily_standin
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.standin import standing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SECRETS = "TWILIO_ACCOUNT_SID=ACnone\nTWILIO_AUTH_TOKEN=none\nTELNYX_API_KEY=none\nTELNYX_PUBLIC_KEY=none\n"


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def switch(place: Place, kind: str, *more: str, timeout: float = 240) -> dict[str, Any]:
    done = place.run("switch-transport", kind, "--json", *more, timeout=timeout)
    assert done.code == 0, done
    return done.json


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The talker over WebRTC; each test leaves it as it was."""
    place = Place(tmp_path_factory.mktemp("switch"), udp="21040-21047")
    place.talker()
    (place.root / "requirements.txt").write_text("pipecat-ai[webrtc,websocket]==1.14.0\n")
    warm.furnish(place.root, place.state)
    secrets = tmp_path_factory.mktemp("secrets") / "env"
    secrets.write_text(SECRETS)
    try:
        assert place.run("secrets", "set", "--from", str(secrets)).code == 0
        up = place.run("up", "--json", timeout=240)
        assert up.code == 0, up
        yield place
    finally:
        place.close()


def test_round_and_back_with_a_heard_call_on_each(live: Place) -> None:
    before, release = tree(live.root), live.status()["release"]
    for kind in ("twilio", "websocket", "telnyx", "webrtc"):
        answer = switch(live, kind)
        assert (answer["to"], answer["transport"], answer["changed"]) == (kind, kind, True)
        assert answer["call"]["first_word_ms"] > 0, answer["call"]
        now = tree(live.root)
        assert {name for name in before if now[name] != before[name]} <= {"voicedeploy.toml"}
        status = live.status()
        assert (status["transport"], status["state"]) == (kind, "running")
        assert live.run("up", "--json").json["changed"] is False
    assert tree(live.root) == before
    assert live.status()["release"] == release, "the very release it began with"


async def test_by_the_phone_and_a_room_and_back(tmp_path: Path) -> None:
    """Daily's API is a stand-in, and a stub of daily-python lies in the bot's folder: nobody is heard in the room."""
    place = Place(tmp_path, udp="21060-21067")
    place.talker()
    shutil.copy(Path(tests.serve.rooms.__file__).with_name("stub_daily.py"), place.root / "daily.py")
    (place.root / "requirements.txt").write_text("pipecat-ai[webrtc,websocket,daily]==1.14.0\n")
    warm.furnish(place.root, place.state)
    (tmp_path / "stub").mkdir()
    bot = (place.root / "bot.py").read_bytes()
    daily = Daily()
    async with standing(daily):
        secrets = tmp_path / "env"
        stub = f"DAILY_API_KEY={daily_standin.KEY}\nDAILY_API_URL={daily.api}\nDAILY_STUB={tmp_path / 'stub'}\n"
        secrets.write_text(SECRETS + stub)
        try:
            assert (await asyncio.to_thread(place.run, "secrets", "set", "--from", str(secrets))).code == 0
            up = await asyncio.to_thread(place.run, "up", "--json", timeout=400)
            assert up.code == 0, up
            before = tree(place.root)
            for kind in ("twilio", "daily", "webrtc"):
                call = (await asyncio.to_thread(switch, place, kind))["call"]
                assert call["ok"], call
                assert (call.get("joined_ms") or 0) > 0 if kind == "daily" else call["first_word_ms"] > 0
                assert (place.root / "bot.py").read_bytes() == bot
            assert tree(place.root) == before
            assert daily.made == 1
            assert daily.rooms == {}, "the room is gone with its call"
        finally:
            await asyncio.to_thread(place.close)


def test_a_call_goes_on_while_the_transport_changes_under_it(live: Place) -> None:
    talking = live.begin("call", "--turns", "4", "--json")
    live.until_calls(1)
    switch(live, "websocket")
    try:
        out, err = talking.communicate(timeout=90)
        assert talking.returncode == 0, err
        run = json.loads(out)["runs"][0]
        assert run["ok"], run
        assert len([turn for turn in run["turns"] if turn["voice_to_voice_ms"]]) == 4
        assert run["audio"]["lost"] == 0
    finally:
        switch(live, "webrtc")


def test_a_refused_switch_touches_nothing(live: Place) -> None:
    before, status = tree(live.root), live.status()
    refused = live.run("switch-transport", "daily")
    assert refused.code == 3, refused
    assert "pipecat-ai[daily,webrtc,websocket]==1.14.0" in refused.err or "DAILY_API_KEY" in refused.err
    assert tree(live.root) == before
    assert live.status() == status
    assert live.run("call", "--turns", "1").code == 0


def test_back_by_rollback_leaves_the_spec_alone(live: Place) -> None:
    before = live.status()["release"]
    switch(live, "websocket")
    back = live.run("rollback", "--json")
    assert back.code == 0 and back.json["release"] == before, back
    assert live.status()["transport"] == "webrtc"
    assert 'kind = "websocket"' in (live.root / "voicedeploy.toml").read_text()
    switch(live, "webrtc")


def test_a_project_of_init_installs_what_its_transport_needs() -> None:
    short = Path(tempfile.mkdtemp(prefix="vds-"))  # espeak-ng takes no long path to its data
    place = Place(short, udp="21050-21057")
    try:
        assert place.run("init", ".", "--name", "talker", cwd=place.root).code == 0
        with (place.root / "voicedeploy.toml").open("a") as file:
            file.write(f'\n[provider.local]\nport = {place.port}\nudp_ports = "{place.udp}"\n')
        before = tree(place.root)
        up = place.run("up", "--json", timeout=400)
        assert up.code == 0 and up.json["call"]["ok"], up
        envs = place.state / "voicedeploy" / "talker" / "envs"
        (first,) = envs.iterdir()
        assert has(first, "aiortc") and not has(first, "fastapi")
        assert switch(place, "websocket", timeout=400)["call"]["ok"]
        (second,) = set(envs.iterdir()) - {first}
        assert has(second, "fastapi") and not has(second, "aiortc")
        back = switch(place, "webrtc", timeout=400)
        assert back["call"]["ok"] and any("reuses" in step["summary"] for step in back["steps"])
        assert set(envs.iterdir()) == {first, second}
        assert tree(place.root) == before
    finally:
        place.close()
        shutil.rmtree(short, ignore_errors=True)


def has(environment: Path, package: str) -> bool:
    return bool(list(environment.glob(f"lib/python*/site-packages/{package}")))
