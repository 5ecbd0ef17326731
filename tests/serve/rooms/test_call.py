"""`voicedeploy call` to a bot in a room: what it claims and what not. Stand-ins make the rooms; the process only says
what a bot's would."""

import json
from pathlib import Path

import pytest

from tests.serve.conftest import KEY, Running, running
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.livekit_standin import LiveKit
from tests.serve.rooms.standin import StandIn, Wrong, standing
from tests.serve.rooms.test_rooms import config, front_of
from voicedeploy.call import Callee, Script, call_many
from voicedeploy.call.options import BRIEF
from voicedeploy.call.report import Report
from voicedeploy.cli.proof import Proof, _first
from voicedeploy.plan import Door


@pytest.fixture(params=[Daily, LiveKit])
def standin(request: pytest.FixtureRequest) -> StandIn:
    made: StandIn = request.param()
    return made


async def called(front: Running, *, key: str = KEY) -> Report:
    callee = Callee.parse(str(front.http.base_url), key=key)
    return await call_many(callee, Script.demo(1), BRIEF)


async def test_joined_is_said_and_heard_is_not(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin) as front:
        report = await called(front)
        (run,) = report.runs
        assert report.ok
        assert report.transport == front.config.transport.kind
        assert run.joined_ms is not None
        assert run.first_word_ms is None
        (verdict,) = report.verdict
        assert verdict.about == "joined"
        assert "only somebody in the room can tell" in verdict.text
        assert run.session_id
        assert (await front.ended(run.session_id))["reason"] == "client-left"


async def test_the_proof_of_an_up_is_worded_as_what_it_is(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin) as front:
        said = json.dumps((await called(front)).to_json())
    proof = Proof()
    line = proof(Door("http://front/"), said)
    assert "nobody listened" in line
    assert "first word" not in line
    assert proof.run == _first(said)


async def test_a_room_that_is_not_made(folder: Path, standin: StandIn) -> None:
    async with front_of(folder, standin) as front:
        standin.faults.append(("POST", Wrong(401, {"error": "authentication-error"})))
        (run,) = (await called(front)).runs
        assert run.error
        assert "does not accept the API key" in run.error.message
        assert "voicedeploy secrets set" in run.error.hint


async def test_a_bot_that_never_joins(folder: Path, standin: StandIn) -> None:
    async with standing(standin):
        file = config(folder, standin, session={"connect_timeout_s": 0.3})
        (folder / "project" / "bot.py").write_text("NEVER_JOINS = True\n")
        async with running(file) as front:
            (run,) = (await called(front)).runs
    assert not run.ok
    assert run.joined_ms is None
    assert run.error
    assert "the call has ended: no-connection" in run.error.message
