"""Births: by fork, by spawn, and when they fail."""

import asyncio
from pathlib import Path

import psutil

from tests.serve.conftest import BEARER, alive, running, until, write_config

BROKEN = "import not_there\n"


async def test_the_pool_keeps_its_size(folder: Path) -> None:
    async with running(write_config(folder, {"pool": {"min": 2, "max": 4, "warm": "50%"}}), forks=False) as front:
        assert (await front.status())["slots"] == {"max": 4, "busy": 0, "warm": 2}
        first, _ = await front.call()
        second, _ = await front.call()
        for _ in range(200):
            if (await front.status())["slots"] == {"max": 4, "busy": 2, "warm": 2}:
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError(await front.status())
        third, _ = await front.call()
        fourth, _ = await front.call()
        assert (await front.status())["slots"] == {"max": 4, "busy": 4, "warm": 0}
        for id in (first, second, third, fourth):
            await front.http.delete(f"/sessions/{id}")
        for id in (first, second, third, fourth):
            await front.ended(id)
        await front.ready()
        assert (await front.status())["slots"] == {"max": 4, "busy": 0, "warm": 2}


async def test_a_dead_zygote_is_replaced(folder: Path) -> None:
    async with running(write_config(folder, {}), forks=False) as front:
        id, pid = await front.call()
        zygote = (await front.status())["zygote_pid"]
        psutil.Process(zygote).kill()
        ended = await front.ended(id)
        assert ended["reason"] == "killed"
        assert not alive(pid)
        await front.ready()
        status = await front.status()
        assert status["zygote_pid"] not in (None, zygote)
        assert status["slots"]["busy"] == 0
        await front.call()
        assert "voicedeploy_zygote_deaths_total 1.0" in (await front.unix.get("/metrics")).text


async def test_a_killed_warm_process_is_replaced(folder: Path) -> None:
    async with running(write_config(folder, {}), forks=False) as front:
        zygote = psutil.Process((await front.status())["zygote_pid"])
        (warm,) = zygote.children()
        warm.kill()
        await until(lambda: bool(front.log("warm-process-died")))
        await front.ready()
        assert (await front.status())["slots"]["warm"] == 1


async def test_a_bot_that_fails_at_import_says_so(folder: Path) -> None:
    async with running(write_config(folder, {}, bot=BROKEN), ready=False, forks=False) as front:
        await until(lambda: bool(front.log("bot-failed-to-load")))
        answer = await front.unix.get("/readyz")
        said = answer.json()
        assert answer.status_code == 503
        assert (said["ready"], said["reason"]) == (False, "failed")
        assert said["error"] == "ModuleNotFoundError: No module named 'not_there'"
        assert said["where"] == "bot.py:1"
        assert "import not_there" in said["traceback"]
        # A stranger is not told what the bot is made of.
        stranger = await front.http.get("/readyz")
        assert (stranger.status_code, stranger.json()) == (503, {"ready": False, "reason": "failed"})
        start = await front.http.post("/start", json={}, headers=BEARER)
        assert (start.status_code, start.json()["error"]["code"]) == (503, "failed")
        assert "not_there" not in start.text
        # And what is mended is tried again.
        (folder / "project" / "bot.py").write_text("")
        await front.ready()
        await front.call()


async def test_a_bot_that_cannot_be_forked_is_spawned(folder: Path) -> None:
    async with running(write_config(folder, {}, bot="FORKABLE = False\n"), forks=False) as front:
        status = await front.status()
        assert (status["isolation"], status["unforkable"]) == ("spawn", "a thread runs after import")
        assert status["zygote_pid"] is None
        first, pid = await front.call()
        second, other = await front.call()
        assert pid != other
        assert (await front.call(finish_after=0.01))[1] not in (pid, other)
        psutil.Process(other).kill()
        assert (await front.ended(second))["reason"] == "killed"
        assert alive(pid)
        await front.http.delete(f"/sessions/{first}")
        assert (await front.ended(first))["code"] == 0
        here = psutil.Process()
        await until(lambda: sum("fake_worker" in " ".join(p.cmdline()) for p in here.children()) == 1)


async def test_spawned_without_a_pool(folder: Path) -> None:
    tables = {"session": {"isolation": "spawn"}, "pool": {"min": 0, "warm": 0}}
    async with running(write_config(folder, tables), forks=False) as front:
        id, _ = await front.call(finish_after=0.01)
        assert (await front.ended(id))["reason"] == "bot-finished"


async def test_a_spawned_bot_that_fails_at_import(folder: Path) -> None:
    tables = {"session": {"isolation": "spawn"}}
    async with running(write_config(folder, tables, bot=BROKEN), ready=False, forks=False) as front:
        await until(lambda: bool(front.log("bot-failed-to-load")))
        said = (await front.unix.get("/readyz")).json()
        assert (said["reason"], said["where"]) == ("failed", "bot.py:1")
        (folder / "project" / "bot.py").write_text("")
        await front.ready()


async def test_an_interpreter_that_does_not_start(folder: Path) -> None:
    python = folder / "python"
    python.write_text("no program")
    async with running(write_config(folder, {"bot": {"python": str(python)}}), ready=False, forks=False) as front:
        await until(lambda: (front.log("zygote-restart")) != [])
        said = (await front.unix.get("/readyz")).json()
        assert said["reason"] == "failed"
        assert "PermissionError" in said["error"]


async def test_secrets_reach_the_bot_and_nothing_else(folder: Path) -> None:
    secrets = folder / "secrets.json"
    secrets.write_text('{"MY_KEY": "hush"}')
    secrets.chmod(0o600)
    bot = "import os\nassert os.environ['MY_KEY'] == 'hush'\nassert 'VIRTUAL_ENV' not in os.environ\n"
    async with running(write_config(folder, {"bot": {"env_file": str(secrets)}}, bot=bot), forks=False) as front:
        zygote = psutil.Process((await front.status())["zygote_pid"])
        assert "hush" not in " ".join(zygote.cmdline())
        assert front.config.log.file
        assert "hush" not in front.config.log.file.read_text()
