"""The stand-in's media sockets, as the vendor describes them: who is let in, to which bot, and what is counted."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from voicedeploy_providers.pipecat_cloud.api import Refused, Started
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.providers.pipecat_cloud.house import NAME, House
from tests.providers.pipecat_cloud.standin import Image
from tests.waiting import soon

PARROT = Path(__file__).parent / "bots" / "parrot.py"
CARRIERS = ("telnyx", "plivo", "exotel")


@pytest.fixture
def house(house: House, tmp_path: Path) -> House:
    """One agent, which says what it hears; one call at a time."""
    app = tmp_path / "parrot"
    app.mkdir()
    shutil.copy(PARROT, app / "bot.py")
    house.standin.push("acme/parrot:1", Image(app))
    house.agent(image="acme/parrot:1", max_agents=1)
    return house


def socket(house: House, path: str, **headers: str) -> ClientConnection:
    url = house.standin.url.replace("http:", "ws:") + path
    return connect(url, additional_headers=headers, proxy=None)


def refused(house: House, path: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        socket(house, path, **headers)
    return refusal.value.response.status_code


def told(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(10))


@contextmanager
def twilio(house: House, host: str) -> Iterator[ClientConnection]:
    with socket(house, "/ws/twilio") as line:
        line.send(json.dumps({"event": "connected", "protocol": "Call"}))
        line.send(json.dumps({"event": "start", "start": {"customParameters": {"_pipecatCloudServiceHost": host}}}))
        yield line


def free(house: House) -> None:
    soon(lambda: not house.standin.agent(NAME).active())


def test_anybody_by_the_agents_name(house: House) -> None:
    for path in (f"/ws/generic/{NAME}.acme", f"/ws/generic?serviceHost={NAME}.acme"):
        body = quote(base64.b64encode(b'{"caller": "abc"}').decode())
        with socket(house, f"{path}{'&' if '?' in path else '?'}body={body}") as line:
            said = told(line)
            assert said["body"] == {"caller": "abc"}
            (session,) = house.cloud.agent(NAME).sessions.list("active")
            assert session.session_id == said["session"]
            for message in ("text", b"\0\1bytes"):
                line.send(message)
                assert line.recv(5) == message
        free(house)
    ended = house.cloud.agent(NAME).sessions.list("ended")
    assert [session.completion_status for session in ended] == ["success", "success"]
    lines = house.cloud.agent(NAME).logs.last(20, session=said["session"])
    assert any(line.log.startswith("hello") and said["session"] in line.log for line in lines)


def test_twilio_says_whom_it_calls_in_its_first_messages_and_the_bot_gets_those_too(house: House) -> None:
    with twilio(house, f"{NAME}.acme") as line:
        told(line)
        assert [told(line)["event"], told(line)["event"]] == ["connected", "start"]
        line.send("media")
        assert line.recv(5) == "media"


@pytest.mark.parametrize("carrier", CARRIERS)
def test_other_carriers_say_it_in_the_address(house: House, carrier: str) -> None:
    opening = ["start"] if carrier == "plivo" else ["connected", "start"]
    with socket(house, f"/ws/{carrier}?serviceHost={NAME}.acme") as line:
        for event in opening:
            line.send(json.dumps({"event": event}))
        told(line)
        assert [told(line)["event"] for _ in opening] == opening


def test_who_does_not_speak_as_the_carrier_does_gets_no_agent(house: House) -> None:
    with socket(house, f"/ws/telnyx?serviceHost={NAME}.acme") as line:
        line.send(b"\0")
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(5)
    assert closed.value.rcvd is not None and "telnyx says connected" in closed.value.rcvd.reason
    assert house.cloud.agent(NAME).sessions.list() == ()


def test_a_wrong_name_and_a_wrong_region(house: House) -> None:
    assert refused(house, f"/ws/generic/{NAME}.else") == 404
    assert refused(house, "/ws/generic/other.acme") == 404
    assert refused(house, f"/ws/vonage?serviceHost={NAME}.acme") == 404
    with twilio(house, f"{NAME}.else") as line, pytest.raises(ConnectionClosed, match="Unknown service host"):
        line.recv(5)
    here = urlsplit(house.standin.url)
    for region, found in (("us-west", True), ("eu-central", False)):
        url = f"ws://{region}.example.org:{here.port}/ws/generic/{NAME}.acme"
        try:
            with connect(url, address=("127.0.0.1", here.port), proxy=None) as line:
                told(line)
            assert found
        except InvalidStatus as refusal:
            assert refusal.response.status_code == 404 and not found


def test_one_call_at_a_time(house: House) -> None:
    with socket(house, f"/ws/generic/{NAME}.acme") as line:
        told(line)
        assert refused(house, f"/ws/generic/{NAME}.acme") == 429
        with twilio(house, f"{NAME}.acme") as other, pytest.raises(ConnectionClosed) as closed:
            other.recv(5)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
    free(house)
    with socket(house, f"/ws/generic/{NAME}.acme") as line:
        told(line)


def started(house: House, **body: Any) -> Started:
    return house.cloud.agent(NAME).sessions.start("websocket", body=body)


def test_a_token_is_for_one_call(house: House) -> None:
    house.standin.agent(NAME).socket_auth = "token"
    assert refused(house, f"/ws/generic/{NAME}.acme") == 403
    ticket = started(house, caller="abc")
    assert house.cloud.agent(NAME).sessions.list() == (), "nothing runs before the caller comes"
    path = urlsplit(ticket.ws_url).path
    assert refused(house, path, Authorization="Bearer no-such") == 403
    with socket(house, f"{path}?body={quote(ticket.body)}", Authorization=f"Bearer {ticket.token}") as line:
        assert told(line) == {"session": ticket.session_id, "body": {"caller": "abc"}}
    assert refused(house, path, Authorization=f"Bearer {ticket.token}") == 403
    free(house)
    with socket(house, f"{path}/{started(house).token}") as line:
        told(line)
    free(house)
    late = started(house)
    house.standin.clock.advance(301)
    assert refused(house, f"{path}?token={late.token}") == 403


def test_where_no_token_is_needed_its_data_is_not_packed(house: House) -> None:
    ticket = started(house)
    with pytest.raises(Refused):
        started(house, caller="abc")
    with socket(house, urlsplit(ticket.ws_url).path, Authorization=f"Bearer {ticket.token}") as line:
        told(line)


def test_a_bot_that_breaks_and_an_agent_that_is_stopped(house: House) -> None:
    with socket(house, f"/ws/generic/{NAME}.acme") as line:
        told(line)
        line.send("crash")
        with pytest.raises(ConnectionClosed):
            line.recv(10)
    free(house)
    with socket(house, f"/ws/generic/{NAME}.acme") as line:
        session = told(line)["session"]
        house.cloud.agent(NAME).sessions.stop(session)
        with pytest.raises(ConnectionClosed):
            line.recv(10)
    newest, oldest = house.cloud.agent(NAME).sessions.list()
    assert (newest.completion_status, oldest.completion_status) == ("stopped", "error")
