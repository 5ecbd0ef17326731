"""Two machines of one app: each knows whose call it is, and sends on what is not its own."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.serve.conftest import BEARER, KEY, running, write_config
from voicedeploy.serve.config import ConfigError, load, read_key
from voicedeploy.serve.fleet import OnFly, machine_of

MACHINE, OTHER = "1857156b526dd8", "d891275b1e5d48"


def config(folder: Path, **tables: Any) -> Path:
    return write_config(folder, {"listen": {"fleet": "fly"}, "pool": {"max": 1}} | tables)


@pytest.mark.parametrize("machine", [MACHINE, "a", "0" * 14])
def test_a_session_names_its_machine_and_cannot_be_guessed(machine: str) -> None:
    ids = {OnFly(machine).session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {machine_of(id) for id in ids} == {machine}
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id) for id in ids)
    assert len({id[:18] for id in ids}) == 1000


@pytest.mark.parametrize("id", ["", "x", "00000000-0000-4000-8000-000000000000", "f" * 32, "../../etc/passwd"])
def test_nonsense_names_no_machine(id: str) -> None:
    assert machine_of(id) == ""


async def test_what_another_machine_knows_is_sent_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLY_MACHINE_ID", MACHINE)
    async with running(config(folder)) as front:
        id = await front.start()
        assert machine_of(id) == MACHINE
        theirs, gone = OnFly(OTHER).session_id(), OnFly(MACHINE).session_id()
        answer = await front.offer(theirs)
        assert answer.headers["fly-replay"] == f"instance={OTHER}"
        assert "fly-replay" not in (await front.offer(gone)).headers
        # Brought here, and not here either: whoever asked is told so.
        again = await front.http.post(
            f"/sessions/{theirs}/api/offer",
            json={"sdp": "v=0", "type": "offer"},
            headers={"fly-replay-src": "instance=x"},
        )
        assert (again.status_code, "fly-replay" in again.headers) == (404, False)
        # No slot here: perhaps elsewhere, but asked once only.
        busy = await front.http.post("/start", json={}, headers=BEARER)
        assert (busy.status_code, busy.headers["fly-replay"]) == (503, "elsewhere=true")
        busy = await front.http.post("/start", json={}, headers=BEARER | {"fly-replay-src": "instance=x"})
        assert (busy.status_code, "fly-replay" in busy.headers) == (503, False)
        # A stranger is not sent around, and the private door has no proxy before it.
        assert "fly-replay" not in (await front.http.post("/start", json={})).headers
        assert "fly-replay" not in (await front.unix.post("/start", json={})).headers


async def test_elsewhere_nothing_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLY_MACHINE_ID", raising=False)
    async with running(config(folder)) as front:
        id = await front.start()
        assert "fly-replay" not in (await front.http.post("/start", json={}, headers=BEARER)).headers
        assert machine_of(id) in ("", id.replace("-", "")[18 : 18 + int(id.replace("-", "")[17], 16)])


def test_key_secrets_and_port_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = {"key_file": "", "key_env": "VOICEDEPLOY_KEY"}
    file = write_config(folder, {"access": access, "listen": {"port": 8080, "port_from_env": True}})
    monkeypatch.setenv("PORT", "9999")
    monkeypatch.setenv("VOICEDEPLOY_KEY", KEY)
    assert load(file).listen.port == 9999
    assert read_key(file, load(file)) == KEY
    for nonsense in ("", "-1", "http", "70000"):
        monkeypatch.setenv("PORT", nonsense)
        assert load(file).listen.port == 8080
    monkeypatch.setenv("VOICEDEPLOY_KEY", "short")
    with pytest.raises(ConfigError, match="VOICEDEPLOY_KEY holds 5 characters") as error:
        read_key(file, load(file))
    assert "short" not in error.value.message.replace("shorter", "")


async def test_the_bot_sees_its_secrets_and_not_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEDEPLOY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    tables = {"access": {"key_file": "", "key_env": "VOICEDEPLOY_KEY"}, "bot": {"secrets_from_env": True}}
    bot = "import os\nprint('sees', os.environ.get('OPENAI_API_KEY'), os.environ.get('VOICEDEPLOY_KEY'))\n"
    async with running(write_config(folder, tables, bot=bot)) as front:
        assert [line["text"] for line in front.log("output") if line["text"].startswith("sees")] == ["sees sk-x None"]
