"""One call's life: it ends, and its slot is free, whatever bot and client do."""

import asyncio
import json
import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.serve.conftest import BEARER, alive, running, until, write_config


async def test_a_call_gets_its_own_process_and_what_it_was_started_with(folder: Path) -> None:
    tables = {
        "media": {"udp_ports": "20000-20005", "public_ip": "198.51.100.7", "nets": ["10.0.0.0/8"], "bind": "127.0.0.9"},
        "transport": {"ice_servers": [{"urls": "turn:t.example:3478", "username": "u", "credential": "c"}]},
        "session": {"memory": 1 << 29},
    }
    async with running(write_config(folder, tables)) as front:
        first, pid = await front.call(colour="red")
        id = await front.start(colour="green")
        answer = await front.offer(id, requestData={"colour": "blue"})
        said = json.loads(answer.json()["sdp"])
        session = said["session"]
        assert said["pid"] != pid
        assert said["request_data"] == {"colour": "blue"}
        assert session["session_id"] == id != first
        assert session["body"] == {"colour": "green"}
        assert session["udp_ports"] == [20001, 20002, 20003, 20004, 20005, 20000]
        assert (session["public_ip"], session["nets"]) == ("198.51.100.7", ["10.0.0.0/8"])
        assert session["bind"] == "127.0.0.9"
        assert session["ice_servers"] == [{"urls": "turn:t.example:3478", "username": "u", "credential": "c"}]
        assert session["memory"] == 1 << 29
        status = await front.status()
        assert {s["id"]: s["pid"] for s in status["sessions"]} == {first: pid, id: said["pid"]}
        assert {s["transport"] for s in status["sessions"]} == {"webrtc"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", status["sessions"][0]["started_at"])


async def test_calls_are_spread_over_the_cores(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        await asyncio.gather(*(front.start() for _ in range(4)))
        cores = sorted(line["core"] for line in front.log("session-started"))
        here = sorted(psutil.Process().cpu_affinity() or [])
        assert cores == sorted((here * 4)[:4])


async def test_the_bot_finishes(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id, pid = await front.call(finish_after=0.05)
        ended = await front.ended(id)
        assert ended["reason"] == "bot-finished"
        assert (ended["code"], ended["level"]) == (0, "info")
        assert not alive(pid)
        assert (await front.status())["slots"]["busy"] == 0


async def test_a_crash_touches_no_other_call(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        first, pid = await front.call()
        second, _ = await front.call(crash=0.05)
        ended = await front.ended(second)
        assert (ended["reason"], ended["code"]) == ("bot-failed", 3)
        third, _ = await front.call(crash=0.05, signal=int(signal.SIGSEGV))
        ended = await front.ended(third)
        assert (ended["reason"], ended["signal"]) == ("killed", signal.SIGSEGV)
        assert [s["id"] for s in (await front.status())["sessions"]] == [first]
        assert alive(pid)
        answer = await front.offer(first, sdp="v=0 again")
        assert answer.status_code == 200


async def test_the_bot_says_why_it_failed(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id, _ = await front.call(fail=True)
        ended = await front.ended(id)
        assert (ended["reason"], ended["detail"]) == ("bot-failed", "ValueError: no")
        failed = front.log("bot-failed", session=id)[0]
        assert (failed["where"], failed["traceback"]) == ("bot.py:7", "Traceback")


async def test_the_client_vanishes(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id, pid = await front.call(vanish_after=0.05, ignore_end=True)
        ended = await front.ended(id)
        assert ended["reason"] == "client-left"
        assert ended["signal"] == signal.SIGKILL
        assert not alive(pid)


async def test_a_call_has_its_longest_time(folder: Path) -> None:
    file = write_config(folder, {"session": {"max_duration_s": 0.6, "grace_s": 0.3}})
    async with running(file) as front:
        polite, _ = await front.call()
        stubborn, pid = await front.call(ignore_end=True)
        ended = await front.ended(polite)
        assert (ended["reason"], ended["code"]) == ("max-duration", 0)
        assert front.log("output", session=polite)[-1]["text"] == "end max_duration"
        ended = await front.ended(stubborn)
        assert (ended["reason"], ended["signal"]) == ("max-duration", signal.SIGKILL)
        assert not alive(pid)
        assert (await front.status())["slots"]["busy"] == 0


async def test_no_offer_comes(folder: Path) -> None:
    async with running(write_config(folder, {"session": {"offer_timeout_s": 0.2}})) as front:
        id = await front.start()
        assert (await front.ended(id))["reason"] == "no-offer"
        late = await front.offer(id)
        assert late.status_code == 404
        assert late.json()["error"]["code"] == "session-ended"


async def test_the_offer_is_answered_and_nobody_connects(folder: Path) -> None:
    async with running(write_config(folder, {"session": {"connect_timeout_s": 0.2}})) as front:
        id, _ = await front.call(never_connects=True)
        assert (await front.ended(id))["reason"] == "no-connection"


@pytest.mark.parametrize("much", [48 << 20, 200 << 20])
async def test_a_call_that_eats_memory(folder: Path, much: int) -> None:
    file = write_config(folder, {"session": {"memory": 40 << 20}})
    async with running(file) as front:
        other, _ = await front.call()
        id, pid = await front.call(eat=much)
        ended = await front.ended(id)
        assert ended["reason"] == "memory"
        assert not alive(pid)
        assert [s["id"] for s in (await front.status())["sessions"]] == [other]


async def test_a_client_ends_its_call(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id, _ = await front.call()
        answer = await front.http.delete(f"/sessions/{id}")
        assert (answer.status_code, answer.json()) == (200, {"sessionId": id, "ending": True})
        assert (await front.ended(id))["reason"] == "client-left"
        assert (await front.http.delete(f"/sessions/{id}")).status_code == 404


async def test_a_process_that_dies_before_the_offer(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id = await front.start(crash="session")
        answer = await front.offer(id)
        assert answer.status_code in (404, 502), answer.text
        assert answer.json()["error"]["code"] in ("session-ended", "bot-failed")
        assert (await front.ended(id))["reason"] == "bot-failed"


async def test_a_process_that_dies_of_the_offer(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id = await front.start(crash="offer")
        answer = await front.offer(id)
        assert answer.status_code == 502
        assert answer.json()["error"]["hint"]
        assert (await front.ended(id))["reason"] == "bot-failed"


async def test_a_killed_call_frees_its_slot(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id, pid = await front.call()
        psutil.Process(pid).kill()
        ended = await front.ended(id)
        assert (ended["reason"], ended["signal"]) == ("killed", signal.SIGKILL)


async def test_what_the_bot_started_ends_with_it(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id, _ = await front.call(spawn=True, crash=0.2)
        await front.ended(id)
        text = next(line["text"] for line in front.log("output", session=id) if "spawned" in line["text"])
        pid = int(text.split()[1])
        await until(lambda: not alive(pid))


async def test_renegotiation_and_candidates_reach_the_same_process(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        id = await front.start()
        first = (await front.offer(id)).json()
        again = (await front.offer(id, pc_id=first["pc_id"], restart_pc=True)).json()
        assert again["pc_id"] == first["pc_id"]
        candidate = {"candidate": "candidate:1 1 udp 1 10.0.0.1 1 typ host", "sdp_mid": "0", "sdp_mline_index": 0}
        url = f"/sessions/{id}/api/offer"
        good = await front.http.patch(url, json={"pc_id": first["pc_id"], "candidates": [candidate]})
        assert (good.status_code, good.json()) == (200, {"status": "success"})
        bad = await front.http.patch(url, json={"pc_id": "pc-other", "candidates": [candidate]})
        assert (bad.status_code, bad.json()["error"]["code"]) == (404, "unknown-pc")
        worse = await front.offer(id, sdp="bad")
        assert (worse.status_code, worse.json()["error"]["code"]) == (400, "bad-offer")


async def test_an_offer_without_start(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        offer = {"sdp": "v=0", "type": "offer"}
        answer = (await front.http.post("/api/offer", json=offer, headers=BEARER)).json()
        pc_id = answer["pc_id"]
        candidates = {"pc_id": pc_id, "candidates": []}
        assert (await front.http.patch("/api/offer", json=candidates)).status_code == 200
        again = await front.http.post("/api/offer", json=offer | {"pc_id": pc_id})
        assert again.json()["pc_id"] == pc_id
        assert (await front.status())["slots"]["busy"] == 1
        other = await front.http.patch("/api/offer", json={"pc_id": "pc-0", "candidates": []})
        assert other.status_code == 404
        bad = await front.http.post("/api/offer", json=offer | {"sdp": "bad"}, headers=BEARER)
        assert bad.status_code == 400
        await until(lambda: len(front.log("ended", reason="no-connection")) == 1)


async def test_many_calls_leave_nothing_behind(folder: Path) -> None:
    async with running(write_config(folder, {}), forks=False) as front:
        here = psutil.Process()
        await front.call(finish_after=0)
        await until(lambda: len(front.log("ended")) == 1)
        before = here.num_fds()
        for number in range(5):
            await asyncio.gather(*(front.call(finish_after=0.02) for _ in range(4)))
            await until(lambda done=number * 4 + 5: len(front.log("ended")) == done)  # type: ignore[misc]
        await front.ready()
        zygote = psutil.Process((await front.status())["zygote_pid"])
        assert len(zygote.children()) == 1
        # A connection of the test's client may be open now that was not open before, and the other way round.
        assert abs(here.num_fds() - before) <= 8
        assert front.log("ended", reason="bot-finished") == front.log("ended")
