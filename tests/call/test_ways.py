"""Calls to bots behind a platform in place of a front, which says beforehand how callers come in."""

import asyncio
from dataclasses import replace

from starlette.responses import PlainTextResponse

from tests.call.socketbot import SocketBot, running, tone
from tests.call.test_client import SHORT
from voicedeploy.call import Callee, CallOptions, Script, call, settled
from voicedeploy.plan import Door
from voicedeploy.way import Way

HASTY = CallOptions(greeting_timeout_s=0.3, answer_timeout_s=0.5, quiet_s=0.2, connect_timeout_s=1)
CARRIER = Way("twilio", parameters={"to": "front-desk.acme"}, hint="is it called acme?")


async def greet(bot: SocketBot) -> None:
    await bot.play(tone(0.4))


async def late(bot: SocketBot) -> None:
    await asyncio.sleep(1.2)
    await greet(bot)


def carried(callee: Callee, way: Way = CARRIER) -> Callee:
    """As a carrier brings calls to it, and to nowhere else."""
    return replace(callee, way=replace(way, stream=f"{callee.url.replace('http', 'ws', 1)}/ws/s1"))


async def test_a_carrier_asks_nobody_and_says_what_it_is_told() -> None:
    bot = SocketBot(greets=greet, start=None)
    async with running(bot) as callee:
        run = await call(carried(replace(callee, key="K")), Script.demo(0), HASTY)
    assert run.ok and run.session_id is None and run.token_ms is None, run.error
    assert bot.asked == [] and bot.path == "/ws/s1" and "authorization" not in bot.headers
    ((_, said),) = bot.events("start")
    assert said["start"]["customParameters"] == {"to": "front-desk.acme"}
    assert run.phases.start is not None and run.phases.start < 5


async def test_who_may_have_to_wait_for_a_cold_bot_does() -> None:
    async with running(SocketBot(greets=late)) as callee:
        hasty = await call(carried(callee), Script.demo(0), HASTY)
        patient = await call(carried(callee, replace(CARRIER, cold_s=5)), Script.demo(0), HASTY)
    assert hasty.error is not None and hasty.error.layer == "silent"
    assert patient.ok and patient.greeted


async def test_a_socket_is_waited_for_and_media_of_webrtc_is_not() -> None:
    callee = Callee.at(Door("http://127.0.0.1:1", key="K", way=Way("webrtc", cold_s=60)))
    how = await settled(callee, CallOptions())
    assert (how.transport, how.http_timeout_s, how.connect_timeout_s) == ("webrtc", 60, CallOptions().connect_timeout_s)
    how = await settled(replace(callee, way=Way("websocket", cold_s=60)), CallOptions())
    assert (how.http_timeout_s, how.connect_timeout_s, how.greeting_timeout_s) == (60, 60, 60)


async def test_why_a_socket_does_not_open_may_be_known() -> None:
    for refuses, layer in ((PlainTextResponse("", 403), "refused"), (PlainTextResponse("", 404), "socket")):
        async with running(SocketBot(refuses=refuses)) as callee:
            run = await call(carried(callee), SHORT, HASTY)
        assert run.error is not None and (run.error.layer, run.error.hint) == (layer, "is it called acme?")


async def test_where_nobody_can_be_called_that_is_said() -> None:
    way = Way("daily", closed="nobody can hear it", hint="go there yourself")
    async with running(SocketBot(greets=greet)) as callee:
        run = await call(replace(callee, way=way), SHORT, HASTY)
    assert run.error is not None and (run.error.message, run.error.hint) == (way.closed, way.hint)


async def test_another_way_is_asked_for_as_anywhere() -> None:
    """`--transport` against what the platform speaks: it is the platform that says no."""
    bot = SocketBot(start=PlainTextResponse("no such transport", 400))
    async with running(bot) as callee:
        run = await call(carried(callee), SHORT, replace(HASTY, transport="telnyx"))
    assert bot.asked == ["telnyx"] and run.error is not None and "no such transport" in run.error.message
