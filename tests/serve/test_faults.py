"""What goes wrong in real calls: real bots in real processes, and real WebRTC callers."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.serve.conftest import (
    BEARER,
    FrontProcess,
    Launch,
    Running,
    Table,
    alive,
    lines,
    running,
    until,
    write_config,
)
from tests.serve.worker.peer import Peer
from voicedeploy.serve.nursery import WORKER
from voicedeploy.serve.peers import no_tls

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

BOT = Path(__file__).with_name("bots") / "bot.py"
PORTS = "21980-21995"
PATIENCE_S = 40.0


class Call:
    """A caller over HTTP, as a browser is one."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.peer = Peer()
        self.id = ""

    async def start(self, **body: Any) -> httpx.Response:
        answer = await self._http.post("/start", json={"transport": "webrtc", "body": body}, headers=BEARER)
        if answer.is_success:
            self.id = answer.json()["sessionId"]
        return answer

    async def ask(self, op: str, **values: Any) -> Table:
        """What `Peer.offer` wants of the one it calls."""
        assert op == "offer"
        answer = await self._http.post(f"/sessions/{self.id}/api/offer", json=values)
        assert answer.status_code == 200, answer.text
        return {"answer": answer.json()}

    async def place(self, **body: Any) -> "Call":
        answer = await self.start(**body)
        assert answer.status_code == 200, answer.text
        await self.connect()
        return self

    async def connect(self) -> None:
        await self.peer.offer(self)  # type: ignore[arg-type]
        await self.peer.hear()


@contextlib.asynccontextmanager
async def caller(http: httpx.AsyncClient) -> AsyncIterator[Call]:
    call = Call(http)
    try:
        yield call
    finally:
        await call.peer.close()


def config(folder: Path, tables: Table, *, bot: str = "", release: str = "r1") -> Path:
    ours: Table = {
        "session": {"grace_s": 5, "leave_s": 30, "memory": 1 << 30},
        "media": {"udp_ports": PORTS},
        "pool": {"max": 4},
    }
    for name, table in tables.items():
        ours[name] = ours.get(name, {}) | table if isinstance(table, dict) else table
    return write_config(folder, ours, bot=bot or BOT.read_text(), release=release)


@contextlib.asynccontextmanager
async def serving(folder: Path, tables: Table) -> AsyncIterator[Running]:
    async with running(config(folder, tables), worker=WORKER, forks=False) as front:
        yield front


async def ended(front: Running, id: str, *, within_s: float = PATIENCE_S) -> Table:
    await until(lambda: bool(front.log("ended", session=id)), patience_s=within_s)
    return front.log("ended", session=id)[0]


def udp_in_use() -> set[int]:
    """Which ports of the range somebody has."""
    first, last = map(int, PORTS.split("-"))
    return {
        connection.laddr.port
        for connection in psutil.net_connections("udp")
        if connection.laddr and first <= connection.laddr.port <= last
    }


@pytest.mark.parametrize(("do", "reason"), [("raise", "bot-failed"), ("segfault", "killed")])
async def test_a_crash_in_the_second_call(folder: Path, do: str, reason: str) -> None:
    async with serving(folder, {}) as front, caller(front.http) as first, caller(front.http) as second:
        await first.place()
        await second.place(do=do)
        end = await ended(front, second.id)
        assert end["reason"] == reason, end
        if do == "raise":
            assert end["detail"] == "RuntimeError: the bot gave up"
            assert front.log("bot-failed", session=second.id)[0]["where"].startswith("bot.py:")
        await first.peer.more(100)  # two seconds of it, after the crash
        assert [s["id"] for s in (await front.status())["sessions"]] == [first.id]


@pytest.mark.parametrize("do", ["", "careless", "stubborn"])
async def test_a_client_that_disappears(folder: Path, do: str) -> None:
    async with serving(folder, {}) as front, caller(front.http) as call:
        await call.place(do=do)
        pid = (await front.status())["sessions"][0]["pid"]
        call.peer.vanish()
        vanished = time.monotonic()
        while (await front.status())["slots"]["busy"]:
            assert time.monotonic() - vanished < 20, "the slot is still taken"
            await asyncio.sleep(0.1)
        assert not alive(pid)
        assert not udp_in_use()
        assert front.log("ended", session=call.id)[0]["reason"] in ("client-left", "bot-failed")


@pytest.mark.parametrize("do", ["", "stubborn"])
async def test_the_longest_call(folder: Path, do: str) -> None:
    async with serving(folder, {"session": {"max_duration_s": 4}}) as front, caller(front.http) as call:
        await call.place(do=do)
        pid = (await front.status())["sessions"][0]["pid"]
        end = await ended(front, call.id)
        assert end["reason"] == "max-duration"
        assert 4 <= end["lasted_s"] < 12
        assert not alive(pid)
        assert (await front.status())["slots"]["busy"] == 0


async def test_a_third_call_on_two_slots(folder: Path) -> None:
    tables = {"pool": {"max": 2}}
    async with (
        serving(folder, tables) as front,
        caller(front.http) as first,
        caller(front.http) as second,
        caller(front.http) as third,
    ):
        await first.place()
        await second.place()
        refused = await third.start()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        assert refused.headers["retry-after"]
        pids = {s["pid"] for s in (await front.status())["sessions"]}
        assert len(pids) == 2
        await asyncio.gather(first.peer.more(50), second.peer.more(50))
        await front.http.delete(f"/sessions/{first.id}")
        await ended(front, first.id)
        await third.place()


async def test_twenty_calls_at_once_on_four_slots(folder: Path) -> None:
    async with serving(folder, {}) as front, contextlib.AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(caller(front.http)) for _ in range(20)]
        answers = await asyncio.gather(*(call.start() for call in calls))
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [503] * 16
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
        talking = [call for call in calls if call.id]
        await asyncio.gather(*(call.connect() for call in talking))
        assert len(udp_in_use()) == 4
        assert {s["state"] for s in (await front.status())["sessions"]} == {"connected"}


async def test_a_killed_call(folder: Path) -> None:
    async with serving(folder, {}) as front, caller(front.http) as first, caller(front.http) as second:
        await first.place()
        await second.place()
        assert len(udp_in_use()) == 2
        pid = next(s["pid"] for s in (await front.status())["sessions"] if s["id"] == second.id)
        psutil.Process(pid).kill()
        end = await ended(front, second.id)
        assert (end["reason"], end["signal"]) == ("killed", signal.SIGKILL)
        assert len(udp_in_use()) == 1
        await first.peer.more(50)


async def test_a_killed_zygote(folder: Path) -> None:
    async with serving(folder, {}) as front, caller(front.http) as call, caller(front.http) as later:
        await call.place()
        before = (await front.status())["zygote_pid"]
        family = [psutil.Process(before), *psutil.Process(before).children(recursive=True)]
        psutil.Process(before).kill()
        assert (await ended(front, call.id))["reason"] == "killed"
        await until(lambda: not any(alive(process.pid) for process in family))
        await until(lambda: not udp_in_use(), patience_s=5)
        await front.ready()
        await later.place()
        assert (await front.status())["zygote_pid"] != before


async def test_what_the_bot_has_started_ends_with_its_call(folder: Path) -> None:
    async with serving(folder, {}) as front, caller(front.http) as call:
        await call.place(do="child")

        def said() -> list[str]:
            printed = "\n".join(line["text"] for line in front.log("output", session=call.id))
            return re.findall(r"it has started (\d+)$", printed, re.MULTILINE)

        await until(lambda: bool(said()))
        pid = int(said()[0])
        assert alive(pid)
        await front.http.delete(f"/sessions/{call.id}")
        await ended(front, call.id)
        await until(lambda: not alive(pid))


async def test_a_call_that_eats_memory(folder: Path) -> None:
    tables = {"session": {"memory": 128 << 20}}
    async with serving(folder, tables) as front, caller(front.http) as first, caller(front.http) as second:
        await first.place()
        await second.place(do="hog")
        end = await ended(front, second.id)
        assert end["reason"] in ("memory", "bot-failed"), end
        if end["reason"] == "bot-failed":
            assert "MemoryError" in end["detail"]
        await first.peer.more(50)


async def test_a_spawned_bot(folder: Path) -> None:
    tables = {"session": {"isolation": "spawn"}}
    async with serving(folder, tables) as front, caller(front.http) as call:
        assert (await front.status())["isolation"] == "spawn"
        await call.place()
        pid = (await front.status())["sessions"][0]["pid"]
        await front.http.delete(f"/sessions/{call.id}")
        assert (await ended(front, call.id))["code"] == 0
        assert not alive(pid)


async def test_a_bot_that_raises_at_import(folder: Path) -> None:
    file = config(folder, {}, bot="import a_module_that_is_not_there\n")
    began = time.monotonic()
    async with running(file, ready=False, worker=WORKER, forks=False) as front:
        await until(lambda: bool(front.log("bot-failed-to-load")), patience_s=30)
        said = (await front.unix.get("/readyz")).json()
        assert time.monotonic() - began < 30
        assert said["error"] == "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
        assert said["where"] == "bot.py:1"
        assert said["traceback"].splitlines()[-1] == said["error"]


async def test_a_full_disk_for_the_log(folder: Path, tiny_disk: Path) -> None:
    tables = {"log": {"file": str(tiny_disk / "log")}}
    async with serving(folder, tables) as front, caller(front.http) as first, caller(front.http) as second:
        (tiny_disk / "filler").write_bytes(b"x" * (48 << 10))
        await first.place()
        await second.place()
        await first.peer.more(50)
        assert (await front.status())["log_dropped"] > 0
        await front.http.delete(f"/sessions/{first.id}")
        pid = (await front.status())["sessions"][0]["pid"]
        await until(lambda: not alive(pid), patience_s=PATIENCE_S)
        await second.peer.more(50)


@pytest.mark.parametrize("how", ["http", "sigterm"])
async def test_drain_with_a_running_call(folder: Path, launch: Launch, how: str) -> None:
    front = await started(launch, folder)
    async with public(front) as http, caller(http) as call, caller(http) as late:
        await call.place()
        if how == "http":
            assert (await asyncio.to_thread(front.post, "/drain", {})).json()["draining"] is True
        else:
            front.popen.terminate()
        await until(lambda: front.ask("/status").json()["draining"])
        refused = await late.start()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        await call.peer.more(100)
        assert front.popen.poll() is None
        await http.delete(f"/sessions/{call.id}")
        assert await asyncio.to_thread(front.popen.wait, PATIENCE_S) == 0
    assert [line["reason"] for line in lines(front.config) if line["event"] == "ended"] == ["client-left"]


async def test_a_killed_front(folder: Path, launch: Launch) -> None:
    front = await started(launch, folder)
    async with public(front) as http, caller(http) as first, caller(http) as second:
        await first.place()
        await second.place(do="child")
        family = psutil.Process(front.popen.pid).children(recursive=True)
        assert len(family) >= 4
        assert len(udp_in_use()) == 2
        # The kernel kills what the front and the zygote started. What a bot started itself ends with its call
        # in every other case; here nobody is left to do it but the service manager's control group.
        bots = [process for process in family if process.name() != "sleep"]
        front.popen.send_signal(signal.SIGKILL)
        await asyncio.to_thread(front.popen.wait)
        await until(lambda: not any(alive(process.pid) for process in bots), patience_s=5)
        # A process is a zombie as soon as its main thread is; its other threads may hold the ports a moment longer.
        await until(lambda: not udp_in_use(), patience_s=5)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    again = await started(launch, folder)
    async with public(again) as http, caller(http) as call:
        await call.place()


async def started(launch: Launch, folder: Path) -> FrontProcess:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    tables = json.loads(json.dumps({"listen": {"port": port}, "media": {"udp_ports": PORTS}}))
    tables["session"] = {"grace_s": 5, "leave_s": 30, "memory": 1 << 30}
    front = launch(tables, bot=BOT.read_text(), worker=WORKER)
    await asyncio.to_thread(front.ready)
    return front


@contextlib.asynccontextmanager
async def public(front: FrontProcess) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{front.config.listen.port}"
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, verify=no_tls()) as http:
        yield http


if sys.platform != "linux":
    pytestmark.append(pytest.mark.skip("the lab is Linux"))
