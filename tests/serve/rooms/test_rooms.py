"""Rooms, from `/start` to their end: a real front, processes that only say what a bot's process would, and stand-ins
for Daily's API and for a LiveKit server. No media: tests of the worker go further."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.conftest import BEARER, Running, running, until, write_config
from tests.serve.rooms import daily_standin, livekit_standin
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.livekit_standin import LiveKit, verified
from tests.serve.rooms.standin import StandIn, Wrong, standing
from voicedeploy.serve.config import ConfigError, load

LATE = Wrong(500, {"error": "server-error"})


def config(folder: Path, standin: StandIn, **tables: Any) -> Path:
    if isinstance(standin, Daily):
        secrets = {"DAILY_API_KEY": daily_standin.KEY, "DAILY_API_URL": standin.api}
        transport = {"kind": "daily"}
    else:
        secrets = {
            "LIVEKIT_URL": standin.url.replace("http", "ws"),
            "LIVEKIT_API_KEY": livekit_standin.KEY,
            "LIVEKIT_API_SECRET": livekit_standin.SECRET,
        }
        transport = {"kind": "livekit"}
    file = folder / "secrets"
    file.write_text(json.dumps(secrets | tables.pop("secrets", {})))
    file.chmod(0o600)
    tables["transport"] = transport | tables.get("transport", {})
    return write_config(folder, {"bot": {"env_file": "secrets"}} | tables)


@pytest.fixture(params=[Daily, LiveKit])
def standin(request: pytest.FixtureRequest) -> StandIn:
    made: StandIn = request.param()
    return made


@asynccontextmanager
async def front_of(folder: Path, standin: StandIn, **tables: Any) -> AsyncIterator[Running]:
    """A front whose rooms the stand-in makes. In the end there are none."""
    async with standing(standin):
        async with running(config(folder, standin, **tables)) as front:
            yield front
        assert standin.rooms == {}


async def begin(front: Running, **body: Any) -> httpx.Response:
    return await front.http.post("/start", json={"body": body}, headers=BEARER)


async def state(front: Running, id: str, wanted: str) -> None:
    async with asyncio.timeout(10):
        while [s["state"] for s in (await front.status())["sessions"] if s["id"] == id] != [wanted]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def door(front: Running, id: str) -> Any:
    """What the call's process was told to join."""
    await until(lambda: bool(front.log("output", session=id)))
    return json.loads(front.log("output", session=id)[0]["text"].removeprefix("joins "))


async def test_a_daily_room_is_private_and_ends_with_the_call(folder: Path) -> None:
    daily = Daily()
    async with front_of(folder, daily, transport={"region": "eu-central-1"}, session={"max_duration_s": 600}) as front:
        # As Pipecat's clients ask.
        asked = {"transport": "daily", "createDailyRoom": True, "body": {"comes_after": 0.3}}
        began = time.time()
        answer = await front.http.post("/start", json=asked, headers=BEARER)
        said = answer.json()
        assert set(said) == {"dailyRoom", "dailyToken", "sessionId"}
        (room,) = daily.rooms.values()
        assert said["dailyRoom"] == room["url"]
        assert room["privacy"] == "private"
        assert room["name"].startswith("parrot-")
        settings = room["config"]
        assert settings["eject_at_room_exp"] is True
        assert settings["geo"] == "eu-central-1"
        assert 600 < settings["exp"] - began < 700
        caller, bot = sorted(daily.tokens, key=lambda token: bool(token["is_owner"]))
        assert (caller["is_owner"], bot["is_owner"]) == (False, True)
        assert {caller["room_name"], bot["room_name"]} == {room["name"]}
        assert bot["exp"] == settings["exp"]
        assert 100 < caller["exp"] - began < 200
        told = await door(front, said["sessionId"])
        assert told["room_url"] == room["url"]
        assert told["token"] != said["dailyToken"]
        await state(front, said["sessionId"], "connected")
        assert (await front.http.delete(f"/sessions/{said['sessionId']}")).status_code == 200
        await front.ended(said["sessionId"])
        await until(lambda: not daily.rooms)


async def test_a_livekit_room_and_its_tokens(folder: Path) -> None:
    livekit = LiveKit()
    async with front_of(folder, livekit, session={"max_duration_s": 600}) as front:
        began = time.time()
        said = (await begin(front)).json()
        assert set(said) == {"url", "token", "sessionId"}
        assert said["url"] == livekit.url.replace("http", "ws")
        (room,) = livekit.rooms.values()
        assert room["max_participants"] == 2
        assert room["empty_timeout"] > 0
        assert room["departure_timeout"] > 0
        caller = verified(said["token"])
        assert caller["video"] == {"roomJoin": True, "room": room["name"]}
        assert 100 < caller["exp"] - began < 200
        told = await door(front, said["sessionId"])
        assert (told["url"], told["room_name"]) == (said["url"], room["name"])
        bot = verified(told["token"])
        assert bot["video"] == {"roomJoin": True, "room": room["name"], "agent": True}
        assert bot["sub"] != caller["sub"]
        assert 600 < bot["exp"] - began < 700
        await state(front, said["sessionId"], "connected")


async def test_the_client_does_not_choose_the_room(folder: Path) -> None:
    daily = Daily()
    async with front_of(folder, daily) as front:
        mine = {"dailyRoomProperties": {"exp": 4102444800, "enable_recording": "cloud"}, "body": {}}
        assert (await front.http.post("/start", json=mine, headers=BEARER)).status_code == 200
        (room,) = daily.rooms.values()
        assert room["config"]["exp"] < time.time() + 3600
        other = await front.http.post("/start", json={"transport": "webrtc"}, headers=BEARER)
        assert (other.status_code, other.json()["error"]["code"]) == (400, "wrong-transport")


async def test_a_stranger_gets_no_room(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin) as front:
        assert (await front.http.post("/start", json={})).status_code == 401
        assert standin.asked == []


async def test_a_wrong_key_is_said_and_not_shown(folder: Path, standin: StandIn) -> None:
    wrong = {"DAILY_API_KEY": "wrong-" + "9" * 40, "LIVEKIT_API_SECRET": "wrong-" + "9" * 40}
    async with front_of(folder, standin, secrets=wrong) as front:
        answer = await begin(front)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (502, "room-key")
        assert "voicedeploy secrets set" in error["hint"]
        await until(lambda: bool(front.log("no-room")))
        assert "wrong-" not in answer.text
        assert front.config.log.file
        assert "wrong-" not in front.config.log.file.read_text()
        await until(lambda: bool(front.log("ended", reason="not-started")))
        assert (await front.status())["slots"]["busy"] == 0


async def test_too_many_requests_say_when_to_come_again(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin) as front:
        standin.faults.append(("POST", Wrong(429, {"error": "rate-limit-error"}, **{"Retry-After": "7"})))
        answer = await begin(front)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert answer.json()["error"]["code"] == "room-limit"
        assert (await begin(front)).status_code == 200


async def test_a_service_that_is_away_gives_the_slot_back(folder: Path, standin: StandIn, free_port: int) -> None:
    secrets = {"DAILY_API_URL": f"http://127.0.0.1:{free_port}/v1", "LIVEKIT_URL": f"ws://127.0.0.1:{free_port}"}
    tables = {"secrets": secrets, "pool": {"max": 1}}
    async with front_of(folder, standin, **tables) as front:
        for _ in range(2):
            await front.ready()
            answer = await begin(front)
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "room-unreachable")
            async with asyncio.timeout(5):
                while (await front.status())["slots"]["busy"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_a_start_that_fails_half_way_leaves_no_room(folder: Path) -> None:
    daily = Daily()
    async with front_of(folder, daily) as front:
        daily.faults.append(("POST /v1/meeting-tokens", LATE))
        answer = await begin(front)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "room-refused")
        assert daily.made == 1
        await until(lambda: not daily.rooms)


async def test_deleting_is_tried_again(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin) as front:
        id = (await begin(front, finish_after=0.1)).json()["sessionId"]
        await state(front, id, "connected")
        deleting = "DELETE" if isinstance(standin, Daily) else "POST /twirp/livekit.RoomService/DeleteRoom"
        standin.faults += [(deleting, LATE), (deleting, Wrong(429, {}, **{"Retry-After": "1"}))]
        await front.ended(id)
        # The slot does not wait for it.
        assert (await front.status())["slots"]["busy"] == 0
        assert standin.rooms
        await until(lambda: not standin.rooms)
        assert not front.log("room-left")


async def test_a_room_that_cannot_be_deleted_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicedeploy.serve.ways.room.WAITS_S", (0.0, 0.1))
    daily = Daily()
    async with standing(daily), running(config(folder, daily)) as front:
        daily.faults += [("DELETE", LATE)] * 2
        id = (await begin(front, finish_after=0.1)).json()["sessionId"]
        await front.ended(id)
        await until(lambda: bool(front.log("room-left", session=id)))
        assert "expires by itself" in front.log("room-left")[0]["text"]
        assert len(daily.rooms) == 1


@pytest.mark.parametrize(
    ("body", "limits", "reason"),
    [
        ({"crash": 0.1}, {}, "bot-failed"),
        ({"crash": 0.1, "signal": 9}, {}, "killed"),
        ({"vanish_after": 0.1}, {}, "client-left"),
        ({"ignore_all": True}, {"max_duration_s": 0.5}, "max-duration"),
        ({"never_joins": True}, {"connect_timeout_s": 0.3}, "no-connection"),
        ({"nobody_comes": True}, {"join_timeout_s": 0.3}, "no-connection"),
    ],
)
async def test_whatever_ends_a_call_its_room_is_deleted(
    folder: Path, standin: StandIn, body: dict[str, Any], limits: dict[str, float], reason: str
) -> None:
    async with front_of(folder, standin, session={"grace_s": 0.3, "leave_s": 0.3, **limits}) as front:
        id = (await begin(front, **body)).json()["sessionId"]
        assert (await front.ended(id))["reason"] == reason
        await until(lambda: not standin.rooms)
        assert standin.made == 1
        assert (await front.status())["slots"]["busy"] == 0


async def test_a_person_has_more_time_than_a_bot(folder: Path, standin: StandIn) -> None:
    limits = {"connect_timeout_s": 0.4, "join_timeout_s": 5}
    async with front_of(folder, standin, session=limits) as front:
        id = (await begin(front, comes_after=1.0)).json()["sessionId"]
        await state(front, id, "joined")
        await state(front, id, "connected")


async def test_a_drain_ends_with_no_room(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin, drain={"timeout_s": 0.5}) as front:
        id = (await begin(front)).json()["sessionId"]
        await state(front, id, "connected")
        await front.unix.post("/drain", json={})
        assert (await begin(front)).json()["error"]["code"] == "draining"
        assert await asyncio.wait_for(front.serving, 15) == 0
        assert standin.rooms == {}


async def test_twenty_starts_on_four_slots(folder: Path, standin: StandIn) -> None:
    standin.delay_s = 0.05
    async with front_of(folder, standin, pool={"min": 4, "max": 4}) as front:
        answers = await asyncio.gather(*(begin(front) for _ in range(20)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 4 + [503] * 16
        assert len(standin.rooms) == standin.made == 4
        ids = [answer.json()["sessionId"] for answer in answers if answer.status_code == 200]
        await asyncio.gather(*(front.http.delete(f"/sessions/{id}") for id in ids))
        await until(lambda: not standin.rooms)


async def test_a_call_that_ends_while_its_room_is_made(folder: Path, standin: StandIn) -> None:
    standin.delay_s = 0.3
    async with front_of(folder, standin) as front:
        starting = asyncio.create_task(begin(front))
        await until(lambda: bool(front.log("session-started")))
        id = front.log("session-started")[0]["session"]
        await front.http.delete(f"/sessions/{id}")
        answer = await starting
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "client-left")
        assert standin.made == 1
        await until(lambda: not standin.rooms)


async def test_the_bot_goes_in_while_the_caller_is_answered(folder: Path) -> None:
    """150 ms a request, as over an ocean: a room, then both tokens at the same time."""
    daily = Daily(delay_s=0.15)
    async with front_of(folder, daily) as front:
        began = time.monotonic()
        id = (await begin(front)).json()["sessionId"]
        answered = time.monotonic() - began
        await state(front, id, "connected")
        assert 0.3 <= answered < 0.45
        assert time.monotonic() - began < 0.6


def test_a_front_without_its_secrets_does_not_start(folder: Path, standin: StandIn) -> None:
    missing = "DAILY_API_KEY" if isinstance(standin, Daily) else "LIVEKIT_API_SECRET"
    standin.url = "http://127.0.0.1"
    with pytest.raises(ConfigError, match=f"without {missing}") as error:
        load(config(folder, standin, secrets={missing: ""}))
    assert f"voicedeploy secrets set {missing}" in error.value.hint


def test_the_address_of_a_livekit_server(folder: Path) -> None:
    with pytest.raises(ConfigError, match="LIVEKIT_URL is not the address of a server"):
        load(config(folder, LiveKit(), secrets={"LIVEKIT_URL": "livekit.example.org"}))
