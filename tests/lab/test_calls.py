"""Every transport that can be spoken from here: the bot that `init` makes, behind the front, called by the caller."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
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


@pytest.mark.parametrize("transport", [Transport.TWILIO, Transport.TELNYX, Transport.PLIVO])
async def test_a_call_that_the_carrier_brings(transport: Transport) -> None:
    """By the webhook, with a signature where one can be made without the carrier, else with the key."""
    said = {"greeting": "One moment."}
    keys = {**SECRETS, "TELNYX_PUBLIC_KEY": "A" * 43 + "="}
    options = CallOptions(quiet_s=0.6, webhook=True)
    with served(slots=1, open_on_loopback=False, transport=transport, values=keys, phone=said) as front:
        callee = Callee.parse(front.url)
        known = replace(callee, key=front.key) if transport is Transport.TELNYX else replace(callee, signing="0" * 32)
        if transport is Transport.PLIVO:
            known = replace(callee, signing="none")
        run = await call(known, Script.demo(1), options)
        stranger = await call(replace(callee, signing="another"), Script.demo(1), options)
        others = [one for one in front.client.status().sessions if one.id != run.session_id]
    assert run.ok, run.error
    assert run.session_id is not None
    assert run.phases.start is not None and run.phases.start > 11 / 14 * 1000  # the carrier's own words come first
    assert run.first_word_ms is not None and run.first_word_ms < 3000
    assert stranger.error is not None and stranger.error.layer == "refused"
    assert not others


async def test_on_hold_until_a_slot_is_free() -> None:
    said = {"hold": "Please hold the line."}
    with served(slots=1, transport=Transport.TWILIO, values=SECRETS, phone=said) as front:
        callee = replace(Callee.parse(front.url), signing="0" * 32)
        options = CallOptions(quiet_s=0.6, webhook=True, greeting_suffices=True, busy_wait_s=60)
        first = asyncio.create_task(call(callee, Script.demo(2), replace(options, greeting_suffices=False)))
        while not front.client.status().sessions:  # noqa: ASYNC110 - the front tells nobody
            await asyncio.sleep(0.1)
        impatient = await call(callee, Script.demo(0), replace(options, busy_wait_s=0))
        told: list[str] = []
        second = await call(callee, Script.demo(0), options, progress=told.append)
        assert (await first).ok
    assert impatient.error is not None and impatient.error.layer == "busy"
    assert "on hold" in impatient.error.message and "Please hold the line." in impatient.error.message
    assert second.ok, second.error
    assert any("busy" in text for text in told) and second.waited_ms > 1000
    assert second.first_word_ms is not None and second.first_word_ms < second.duration_ms
