"""A call on a machine that has nothing but `lo`: run inside `unshare -n`, prints the run as JSON.

The bot's half is a process of its own, because it needs what aioice leaves out: a candidate on 127.0.0.1.
"""

import asyncio
import json
import subprocess
import sys

import aioice.ice

from tests.call.stub import Front, running
from voicedeploy.call import Callee, CallOptions, Script, call


async def front() -> None:
    async with running(Front()) as callee:
        print(callee.url, flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


async def main() -> None:
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.call.lonely", "front", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert bot.stdout is not None and bot.stdin is not None
    url = (await bot.stdout.readline()).decode().strip()
    run = await call(Callee.parse(url), Script.demo(0), CallOptions(greeting_timeout_s=3))
    print(json.dumps(run.to_json()))  # noqa: T201
    bot.stdin.close()
    await bot.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["front"]:
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
        asyncio.run(front())
    else:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        asyncio.run(main())
