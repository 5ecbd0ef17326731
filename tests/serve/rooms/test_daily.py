"""Calls in a Daily room: a real front, the real worker and Pipecat's own Daily transport. Daily's API is a stand-in,
and of daily-python, whose native code needs Daily's servers, there is a stub. What is proved is who is told what and
when, and that the bot's sound reaches the SDK; no sound goes over a network."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.serve.conftest import BEARER, Running, alive, running, until, write_config
from tests.serve.rooms import daily_standin
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.standin import standing
from voicedeploy.serve.nursery import WORKER

HERE = Path(__file__).parent


@dataclass
class Room:
    """What the stub of daily-python sees and does."""

    folder: Path
    front: Running
    daily: Daily

    def people(self, *names: str) -> None:
        (self.folder / "people.new").write_text("\n".join(names))
        (self.folder / "people.new").rename(self.folder / "people")

    def close(self) -> None:
        (self.folder / "closed").touch()

    @property
    def said(self) -> list[str]:
        file = self.folder / "said"
        return file.read_text().splitlines() if file.exists() else []

    async def heard(self) -> None:
        await until(lambda: "sound" in self.said)

    async def begin(self, **body: Any) -> str:
        answer = await self.front.http.post("/start", json={"body": body}, headers=BEARER)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["sessionId"])

    def states(self, id: str) -> list[str]:
        return [line["state"] for line in self.front.log("state", session=id)]

    async def is_in(self, id: str) -> None:
        await until(lambda: "joined" in self.states(id))


@asynccontextmanager
async def room_of(folder: Path, **tables: Any) -> AsyncIterator[Room]:
    stub = folder / "stub"
    stub.mkdir()
    daily = Daily()
    async with standing(daily):
        secrets = folder / "secrets"
        secrets.write_text(
            json.dumps({"DAILY_API_KEY": daily_standin.KEY, "DAILY_API_URL": daily.api, "DAILY_STUB": str(stub)})
        )
        secrets.chmod(0o600)
        more: dict[str, Any] = {"transport": {"kind": "daily"}, "bot": {"env_file": "secrets"}}
        more["session"] = {"grace_s": 5}
        file = write_config(folder, more | tables, bot=(HERE / "bot.py").read_text())
        shutil.copy(HERE / "stub_daily.py", folder / "project" / "daily.py")
        async with running(file, worker=WORKER) as front:
            yield Room(stub, front, daily)
        assert daily.rooms == {}


async def test_a_call_from_joining_to_leaving(folder: Path) -> None:
    async with room_of(folder) as room:
        id = await room.begin()
        await room.is_in(id)
        join = room.said[0].split()
        (made,) = room.daily.rooms.values()
        assert join[:2] == ["join", made["url"]]
        assert room.states(id) == ["connecting", "joined"]
        room.people("ada")
        await room.heard()
        await until(lambda: bool(room.front.log("first-word", session=id)))
        assert room.states(id)[-1] == "connected"
        room.people()
        assert (await room.front.ended(id))["reason"] == "client-left"
        assert room.said[-1] == "leave"
        assert not (await room.front.status())["unforkable"]
        assert not room.front.log("output", level="error")
        await until(lambda: not room.daily.rooms)


async def test_a_caller_is_there_before_the_bot(folder: Path) -> None:
    async with room_of(folder) as room:
        room.people("ada")
        id = await room.begin()
        await room.heard()
        assert room.states(id)[-1] == "connected"


async def test_a_bot_that_ignores_that_its_caller_left(folder: Path) -> None:
    async with room_of(folder) as room:
        id = await room.begin(do="careless")
        room.people("ada")
        await room.heard()
        pid = (await room.front.status())["sessions"][0]["pid"]
        room.people()
        began = time.monotonic()
        assert (await room.front.ended(id))["reason"] == "client-left"
        assert time.monotonic() - began < 15
        assert room.said[-1] == "leave"
        assert not alive(pid)


async def test_who_comes_back_finds_the_bot(folder: Path) -> None:
    async with room_of(folder) as room:
        id = await room.begin(do="careless")
        room.people("ada")
        await room.heard()
        room.people()
        await until(lambda: room.states(id)[-1] == "disconnected")
        room.people("ada-again")
        await until(lambda: room.states(id)[-1] == "connected")
        await asyncio.sleep(9)
        assert (await room.front.status())["sessions"][0]["state"] == "connected"


async def test_one_of_two_leaves(folder: Path) -> None:
    async with room_of(folder) as room:
        id = await room.begin(do="careless")
        room.people("ada", "bob")
        await room.heard()
        room.people("bob")
        await until(lambda: bool([line for line in room.front.log("output") if "somebody left" in line["text"]]))
        assert room.states(id)[-1] == "connected"


async def test_the_room_is_closed_by_somebody_else(folder: Path) -> None:
    async with room_of(folder) as room:
        id = await room.begin(do="careless")
        room.people("ada")
        await room.heard()
        room.close()
        began = time.monotonic()
        assert (await room.front.ended(id))["reason"] == "client-left"
        assert time.monotonic() - began < 6


async def test_the_time_is_over(folder: Path) -> None:
    async with room_of(folder, session={"max_duration_s": 3, "grace_s": 5}) as room:
        room.people("ada")
        id = await room.begin(do="notes")
        assert (await room.front.ended(id))["reason"] == "max-duration"
        said = [line["text"] for line in room.front.log("output", session=id)]
        assert any("somebody left" in text for text in said)
        assert any("notes are written" in text for text in said)
        assert room.said[-1] == "leave"
        assert not room.front.log("sigkill")


async def test_a_bot_that_crashes_in_the_room(folder: Path) -> None:
    async with room_of(folder) as room:
        id = await room.begin(do="raise")
        room.people("ada")
        ended = await room.front.ended(id)
        assert (ended["reason"], ended["detail"]) == ("bot-failed", "RuntimeError: the bot gave up")
        await until(lambda: not room.daily.rooms)


async def test_a_bot_that_is_not_let_in(folder: Path) -> None:
    async with room_of(folder, session={"connect_timeout_s": 1.5, "grace_s": 5}) as room:
        (room.folder / "refused").touch()
        id = await room.begin()
        assert (await room.front.ended(id))["reason"] == "no-connection"
        assert room.states(id) == ["connecting"]
        assert any("the token is not for this room" in line["text"] for line in room.front.log("output", session=id))


async def test_two_calls_have_two_rooms(folder: Path) -> None:
    async with room_of(folder) as room:
        room.people("ada")
        first, second = await asyncio.gather(room.begin(), room.begin())
        await until(lambda: all(room.states(id)[-1:] == ["connected"] for id in (first, second)))
        urls = {line.split()[1] for line in room.said if line.startswith("join")}
        assert len(urls) == len(room.daily.rooms) == 2


async def test_a_spawned_process_too(folder: Path) -> None:
    async with room_of(folder, session={"isolation": "spawn", "grace_s": 5}) as room:
        room.people("ada")
        id = await room.begin()
        await room.heard()
        room.people()
        assert (await room.front.ended(id))["reason"] == "client-left"


async def test_a_bot_without_the_package(folder: Path) -> None:
    secrets = folder / "secrets"
    secrets.write_text(json.dumps({"DAILY_API_KEY": daily_standin.KEY}))
    secrets.chmod(0o600)
    tables: dict[str, Any] = {"transport": {"kind": "daily"}, "bot": {"env_file": "secrets"}}
    file = write_config(folder, tables, bot=(HERE / "bot.py").read_text())
    async with running(file, ready=False, worker=WORKER) as front:
        async with asyncio.timeout(30):
            while (said := (await front.unix.get("/readyz")).json()).get("reason") != "failed":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert "pipecat-ai[daily]" in said["error"]
