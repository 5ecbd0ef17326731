"""Every transport that can be spoken from here: the bot that `init` makes, behind the front, called by the caller."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.lab.front import served
from voicedeploy.call import Callee, CallOptions, Script, call
from voicedeploy.network import Transport

pytestmark = pytest.mark.lab

SECRETS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0" * 32,
    "TELNYX_API_KEY": "none",
    "PLIVO_AUTH_ID": "none",
    "PLIVO_AUTH_TOKEN": "none",
}
SOCKETS = [Transport.WEBSOCKET, Transport.TWILIO, Transport.TELNYX, Transport.PLIVO, Transport.EXOTEL]


def proof(socket: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "voicedeploy.call.proof", socket], capture_output=True, text=True, timeout=60
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("transport", SOCKETS)
async def test_a_call_over_the_fronts_socket(transport: Transport) -> None:
    with served(slots=1, transport=transport, values=SECRETS) as front:
        run = await call(Callee.parse(front.url), Script.demo(2), CallOptions(quiet_s=0.6))
        assert run.ok, run.error
        assert run.session_id is not None and run.greeted
        assert run.first_word_ms is not None and run.first_word_ms < 3000
        assert run.phases.total == pytest.approx(run.first_word_ms, abs=1)
        assert run.answered == 2, run.turns
        assert run.candidate_pair is None and run.audio.lost == 0
        # As `up` makes its proof: by the front's private socket, where no port is open yet.
        report = await asyncio.to_thread(proof, front.socket)
        assert report["transport"] == transport and report["runs"][0]["ok"], report["runs"][0]["error"]


@pytest.mark.parametrize("transport", [Transport.WEBRTC, Transport.TWILIO])
async def test_barging_in_on_the_bot_that_init_makes(transport: Transport) -> None:
    with served(slots=1, transport=transport, values=SECRETS) as front:
        run = await call(Callee.parse(front.url), Script.demo(2), CallOptions(quiet_s=0.6, barge_in=True))
    assert run.ok, run.error
    assert run.barge_in_ms is not None and run.barge_in_ms < 2000
