"""The page of a bot that is not talked to there, in a real browser; Daily is a stand-in, its room's page a word."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.lab.browser import Caller, caller, chromium
from tests.serve.conftest import Running, folder, running
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.livekit_standin import LiveKit
from tests.serve.rooms.standin import StandIn, Wrong, standing
from tests.serve.rooms.test_rooms import config

__all__ = ["folder"]

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

OPEN = {"open_on_loopback": True}


def address(front: Running, host: str = "localhost") -> str:
    return str(front.http.base_url).replace("127.0.0.1", host)


@asynccontextmanager
async def page_of(folder: Path, standin: StandIn) -> AsyncIterator[Caller]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(standing(standin))
        front = await stack.enter_async_context(running(config(folder, standin, access=OPEN)))
        browser = await stack.enter_async_context(chromium(None))
        yield await stack.enter_async_context(caller(browser, address(front), microphone=False))


@pytest.mark.parametrize("host", ["localhost", "bot.test"])
async def test_a_press_leads_into_the_daily_room(folder: Path, host: str) -> None:
    """Also where the browser keeps the microphone closed: the room's own page opens it."""
    daily = Daily()
    access = OPEN if host == "localhost" else {"public": True}
    async with standing(daily), running(config(folder, daily, access=access)) as front:
        hosts = f"--host-resolver-rules=MAP {host} 127.0.0.1"
        async with chromium(None, hosts) as browser, caller(browser, address(front, host), microphone=False) as one:
            await one.page.route("https://stand-in.daily.co/**", lambda route: route.fulfill(body="the room"))
            await one.press()
            await one.page.wait_for_url("https://stand-in.daily.co/**")
            (room,) = daily.rooms.values()
            where, _, token = one.page.url.partition("?t=")
            assert where == room["url"]
            assert token.count(".") == 2
            # Of a plain http page the browser itself complains.
            assert host != "localhost" or one.complaints == []


async def test_what_daily_refuses_is_said_and_can_be_tried_again(folder: Path) -> None:
    daily = Daily()
    async with page_of(folder, daily) as one:
        daily.faults.append(("POST", Wrong(401, {"error": "authentication-error"})))
        await one.press()

        async def refused() -> bool:
            return "does not accept the API key" in await one.notice()

        async def limited() -> bool:
            return "Try again in 7 s" in await one.notice()

        await one.until("the reason", refused)
        daily.faults.append(("POST", Wrong(429, {}, **{"Retry-After": "7"})))
        await one.press()
        await one.until("when to try again", limited)
        assert await one.phase() == "idle"


async def test_the_page_of_a_livekit_bot_says_the_way(folder: Path) -> None:
    livekit = LiveKit()
    async with page_of(folder, livekit) as one:

        async def said() -> bool:
            return "LiveKit" in await one.notice()

        await one.until("the way", said)
        assert await one.page.is_disabled("#call")
        assert livekit.made == 0
