"""No process outlives what started it."""

import asyncio
from pathlib import Path

from tests.serve.worker.peer import Peer
from tests.serve.worker.rig import gone, worker


async def test_nobody_survives_the_zygote(tmp_path: Path) -> None:
    async with worker(tmp_path) as zygote:
        peer = Peer()
        waiting, talking, blocked = await zygote.fork(), await zygote.fork(), await zygote.fork()
        talking.session()
        blocked.session(body={"do": "block"})
        await peer.call(talking)
        other = Peer()
        await other.offer(blocked)
        await blocked.wait(event="bot", state="started")
        zygote.process.kill()
        zygote.process.wait()
        for child in (waiting, talking, blocked):
            await gone(child.pid)
        await other.close()
        await peer.close()


async def test_the_end_of_the_front_is_the_end_of_all(tmp_path: Path) -> None:
    async with worker(tmp_path) as zygote:
        child = await zygote.fork()
        await child.close()
        await gone(child.pid)
        assert (await zygote.exited(child))["code"] == 0
        other = await zygote.fork()
        await zygote.close()
        await asyncio.to_thread(zygote.process.wait, 10)
        await gone(other.pid)
