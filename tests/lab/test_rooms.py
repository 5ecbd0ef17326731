"""Rooms with the real SDKs of Daily and LiveKit, in a network of its own.

LiveKit: real SDK, real WebRTC, heard; the server is a stand-in that speaks LiveKit's own messages. Daily: the SDK's
servers cannot be had, so it goes as far as the bot that is not let in.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest

import tests.serve.rooms
from tests.serve.conftest import BEARER, Running, folder, running, until, write_config
from tests.serve.rooms import daily_standin
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.standin import standing
from voicedeploy.call import Callee, Script, call_many
from voicedeploy.serve.nursery import WORKER

__all__ = ["folder"]

pytestmark = pytest.mark.lab

ADDRESS, PORT = "10.99.0.1", 7880
KEY, SECRET = "APIstandin", "s" * 48
BOT = (Path(tests.serve.rooms.__file__).parent / "bot.py").read_text()
SERVER = Path(__file__).parent / "rooms" / "livekit_server.py"
CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with both SDKs, as a bot has it."""
    uv = Path(sys.executable).with_name("uv")
    place = tmp_path_factory.mktemp("rooms") / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, place], check=True)
    python = place / "bin" / "python"
    bot = f"pipecat-ai[daily,livekit,webrtc]=={version('pipecat-ai')}"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, bot], check=True, timeout=600)
    return python


@pytest.fixture
def network() -> Iterator[None]:
    """This thread, and what it starts, in a network of its own: the SDKs do not use loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        for command in (
            "link set lo up",
            "link add vd-rooms type veth peer name vd-rooms-peer",
            f"addr add {ADDRESS}/24 dev vd-rooms",
            "link set vd-rooms up",
            "link set vd-rooms-peer up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        yield
    finally:
        if libc.setns(before, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(before)


def config(folder: Path, python: Path, kind: str, secrets: dict[str, str], **session: float) -> Path:
    file = folder / "secrets"
    file.write_text(json.dumps(secrets))
    file.chmod(0o600)
    bot = {"env_file": "secrets", "python": str(python)}
    return write_config(
        folder, {"transport": {"kind": kind}, "bot": bot, "session": {"grace_s": 5, **session}}, bot=BOT
    )


@dataclass
class LiveKit:
    process: Process
    said: list[str] = field(default_factory=list)

    async def read(self) -> None:
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            self.said.append(line.decode().strip())

    def order(self, words: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{words}\n".encode())

    async def says(self, words: str) -> None:
        await until(lambda: words in self.said, patience_s=30)


@contextlib.asynccontextmanager
async def livekit(python: Path) -> AsyncIterator[LiveKit]:
    process = await asyncio.create_subprocess_exec(
        python, SERVER, ADDRESS, str(PORT), KEY, SECRET, stdin=PIPE, stdout=PIPE
    )
    server = LiveKit(process)
    reading = asyncio.create_task(server.read())
    try:
        await server.says("ready")
        yield server
    finally:
        assert process.stdin
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)
        await reading


@contextlib.asynccontextmanager
async def bot_at_livekit(folder: Path, python: Path, **session: float) -> AsyncIterator[tuple[LiveKit, Running]]:
    secrets = {"LIVEKIT_URL": f"ws://{ADDRESS}:{PORT}", "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
    async with livekit(python) as server:
        async with running(config(folder, python, "livekit", secrets, **session), worker=WORKER, ready=False) as front:
            async with asyncio.timeout(60):
                while (await front.unix.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            assert not (await front.status())["unforkable"]
            yield server, front
        rooms = [line.split()[1] for line in server.said if line.startswith("room ")]
        assert rooms
        for room in rooms:
            await server.says(f"deleted {room}")


async def begin(front: Running, **body: object) -> str:
    answer = await front.http.post("/start", json={"body": body}, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["sessionId"])


def states(front: Running, id: str) -> list[str]:
    return [line["state"] for line in front.log("state", session=id)]


async def test_a_bot_is_heard_in_a_livekit_room(folder: Path, python: Path, network: None) -> None:
    async with bot_at_livekit(folder, python) as (server, front):
        began = time.monotonic()
        id = await begin(front)
        await server.says("joins bot")
        await until(lambda: "joined" in states(front, id))
        server.order("come ada")
        await server.says("heard bot")
        assert time.monotonic() - began < 10
        await until(lambda: states(front, id) == ["connecting", "joined", "connected"])
        server.order("leave ada")
        assert (await front.ended(id))["reason"] == "client-left"
        await server.says("left bot")


async def test_a_bot_that_ignores_that_its_caller_left_livekit(folder: Path, python: Path, network: None) -> None:
    async with bot_at_livekit(folder, python) as (server, front):
        id = await begin(front, do="careless")
        await until(lambda: "joined" in states(front, id))
        server.order("come ada")
        await server.says("heard bot")
        server.order("leave ada")
        began = time.monotonic()
        await until(lambda: bool(front.log("ended", session=id)), patience_s=25)
        assert time.monotonic() - began < 20
        assert front.log("ended", session=id)[0]["reason"] == "client-left"


async def test_the_end_of_a_call_at_livekit(folder: Path, python: Path, network: None) -> None:
    async with bot_at_livekit(folder, python, max_duration_s=6) as (server, front):
        id = await begin(front, do="notes")
        await until(lambda: "joined" in states(front, id))
        server.order("come ada")
        await server.says("heard bot")
        assert (await front.ended(id))["reason"] == "max-duration"
        assert not front.log("sigkill")
        assert any("notes are written" in line["text"] for line in front.log("output", session=id))


async def test_a_call_to_a_livekit_room_says_joined(folder: Path, python: Path, network: None) -> None:
    async with bot_at_livekit(folder, python) as (_, front):
        report = await call_many(Callee.parse(str(front.http.base_url), key="k" * 40), Script.demo(1))
        assert report.ok, report.runs
        assert report.verdict[0].about == "joined"


async def test_dailys_own_sdk_is_forked_and_ends(folder: Path, python: Path, network: None) -> None:
    daily = Daily()
    async with standing(daily):
        secrets = {"DAILY_API_KEY": daily_standin.KEY, "DAILY_API_URL": daily.api}
        file = config(folder, python, "daily", secrets, connect_timeout_s=5)
        async with running(file, worker=WORKER, ready=False) as front:
            async with asyncio.timeout(60):
                while (await front.unix.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            assert not (await front.status())["unforkable"]
            id = await begin(front)
            await until(lambda: bool(front.log("ended", session=id)), patience_s=25)
            # There is no such room on the network: the SDK is in its join all the time.
            assert front.log("ended", session=id)[0]["reason"] == "no-connection"
            assert any("Joining https://stand-in.daily.co/" in line["text"] for line in front.log("output", session=id))
        assert daily.rooms == {}
