"""`voicedeploy phone` as it is typed, at stand-ins for the carriers, for a deployment that is written down by hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.phone.standins import serving
from tests.test_cli import Said, typed
from voicedeploy import phone
from voicedeploy.cli import options
from voicedeploy.deployment import Deployment
from voicedeploy.plan import Door
from voicedeploy.serve.tokens import Tokens

NUMBER = "+14155550100"
OLD = "https://old.example.org/voice"
URL = "https://talk.example.org/phone"
KEY = "k" * 40


@dataclass
class Place:
    """What the commands ask of a provider, of a bot that is up."""

    transport: str
    url: str = "https://talk.example.org/"
    ca: str = ""
    known: tuple[str, ...] = ()
    up: bool = True
    name: str = "vm"
    where: str = "vm talk"

    def find(self, bot: str) -> Deployment | None:
        made = Deployment(
            provider="vm",
            bot=bot,
            release="r1",
            transport=self.transport,
            url=self.url,
            created_at="2026-11-27T00:00:00",
        )
        return made if self.up else None

    def door(self, have: Deployment) -> Door:
        return Door(have.url, key=KEY, ca=self.ca)

    def secrets(self, bot: str) -> "Place":
        return self

    def names(self) -> tuple[str, ...]:
        return self.known


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with serving("twilio") as standin:
        monkeypatch.setattr(phone.twilio, "API", standin.base)
        for name in standin.keys:
            monkeypatch.delenv(name, raising=False)
        standin.add(NUMBER, url=OLD)
        yield standin


@pytest.fixture
def bot(tmp_path: Path, home: Path, carrier: Any) -> Path:
    project(tmp_path, "twilio")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in carrier.keys.items()))
    return tmp_path


def project(folder: Path, kind: str, more: str = "") -> None:
    (folder / "voicedeploy.toml").write_text(f'[bot]\nname = "front-desk"\n[transport]\nkind = "{kind}"\n{more}')


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    here = Place("twilio")
    monkeypatch.setattr(options, "providers", lambda *_: [here])
    return here


def secretless(said: Said, carrier: Any) -> None:
    for name, value in carrier.keys.items():
        if "TOKEN" in name:
            assert value not in said.stdout + said.stderr


def test_bind_shows_asks_and_can_be_undone(bot: Path, place: Place, carrier: Any) -> None:
    asked = typed("phone", "bind", "+1 415 555 0100", cwd=bot)
    assert asked.returncode == 3
    assert f"- leads to  {OLD}\n+ leads to  {URL}\n" in asked.stderr
    assert "--yes" in asked.stderr
    assert carrier.changes == []

    done = typed("phone", "bind", NUMBER, "--yes", cwd=bot)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Call it: {NUMBER}\n"
    assert f"undo: voicedeploy phone unbind {NUMBER}" in done.stderr
    secretless(done, carrier)
    before = list(carrier.changes)

    again = typed("phone", "bind", NUMBER, "--json", cwd=bot)
    assert json.loads(again.stdout)["changed"] is False
    assert carrier.changes == before

    undone = typed("phone", "unbind", NUMBER, "--yes", cwd=bot)
    assert undone.returncode == 0, undone.stderr
    assert undone.stdout == f"{NUMBER} leads to {OLD} again\n"
    assert carrier.target(NUMBER) == ""
    assert carrier.applications == {}


def test_bind_in_json(bot: Path, place: Place, carrier: Any) -> None:
    said = json.loads(typed("phone", "bind", NUMBER, "--yes", "--json", cwd=bot).stdout)
    assert said == {
        "number": NUMBER, "carrier": "twilio", "changed": True, "before": OLD, "url": URL,
        "undo": f"voicedeploy phone unbind {NUMBER}",
    }  # fmt: skip


def test_a_tunnel_s_address_goes_before_the_provider_s(bot: Path, place: Place, carrier: Any) -> None:
    place.url = "http://localhost:7860/"
    refused = typed("phone", "bind", NUMBER, "--yes", cwd=bot)
    assert refused.returncode == 3
    assert "public_url" in refused.stderr
    project(bot, "twilio", '[access]\npublic_url = "https://tunnel.example.org/"\n')
    said = json.loads(typed("phone", "bind", NUMBER, "--yes", "--json", cwd=bot).stdout)
    assert said["url"] == "https://tunnel.example.org/phone"


def test_no_carrier_trusts_an_authority_of_one_s_own(bot: Path, place: Place, carrier: Any) -> None:
    place.ca = "-----BEGIN CERTIFICATE-----"
    refused = typed("phone", "bind", NUMBER, "--yes", cwd=bot)
    assert refused.returncode == 3
    assert "certificate" in refused.stderr
    assert carrier.changes == []


def test_what_is_up_must_be_a_phone(bot: Path, place: Place, carrier: Any) -> None:
    place.transport = "webrtc"
    assert "served over webrtc, not twilio" in typed("phone", "bind", NUMBER, "--yes", cwd=bot).stderr
    place.up = False
    assert "is not on vm talk" in typed("phone", "bind", NUMBER, "--yes", cwd=bot).stderr
    assert carrier.changes == []


def test_a_number_that_is_not_owned_is_never_bought(bot: Path, place: Place, carrier: Any) -> None:
    said = typed("phone", "bind", "+14155559999", "--yes", cwd=bot)
    assert said.returncode == 3
    assert "buys none" in said.stderr
    assert carrier.changes == []


def test_list(bot: Path, carrier: Any) -> None:
    assert typed("phone", "list", cwd=bot).stdout.split() == [
        "number", "bound", "leads", "to", NUMBER, "no", OLD,
    ]  # fmt: skip
    rows = json.loads(typed("phone", "list", "--json", cwd=bot).stdout)["numbers"]
    assert rows == [{"number": NUMBER, "leads_to": OLD, "bound": False}]


def test_keys_that_are_nowhere(bot: Path, carrier: Any) -> None:
    (bot / ".env").unlink()
    said = typed("phone", "list", cwd=bot)
    assert said.returncode == 2
    assert "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN" in said.stderr


def test_keys_that_are_wrong(bot: Path, carrier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "a-wrong-one")
    said = typed("phone", "list", cwd=bot)
    assert said.returncode == 3
    assert "TWILIO_AUTH_TOKEN" in said.stderr
    assert "a-wrong-one" not in said.stderr


@pytest.mark.parametrize("command", [("bind", NUMBER, "--yes"), ("unbind", NUMBER), ("list",), ("check",)])
def test_a_bot_that_is_no_phone(bot: Path, place: Place, carrier: Any, command: tuple[str, ...]) -> None:
    project(bot, "webrtc")
    place.transport = "webrtc"
    said = typed("phone", *command, cwd=bot)
    assert said.returncode == 2
    assert '[transport] kind = "twilio"' in said.stderr


def test_unbind_what_is_not_bound(bot: Path, carrier: Any) -> None:
    said = typed("phone", "unbind", NUMBER, "--yes", cwd=bot)
    assert said.returncode == 3
    assert f"is not bound: it leads to {OLD}" in said.stderr


def test_exotel_is_done_by_hand(bot: Path, place: Place) -> None:
    project(bot, "exotel")
    place.transport = "exotel"
    said = typed("phone", "bind", cwd=bot)
    assert said.returncode == 0, said.stderr
    assert f"\nwss://talk.example.org/ws/line/{Tokens(KEY).line()}\n" in said.stdout
    assert KEY not in said.stdout


def test_check_says_each_fault_with_its_code(bot: Path, place: Place, carrier: Any) -> None:
    place.url = "https://127.0.0.1:9/"
    place.known = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY")
    said = typed("phone", "check", NUMBER, "--json", cwd=bot)
    assert said.returncode == 3
    found = json.loads(said.stdout)["findings"]
    assert [finding["code"] for finding in found] == ["VD174", "VD176", "VD178"]
    assert found[2]["fix"] == f"voicedeploy phone bind {NUMBER}"
    place.known = ("TWILIO_ACCOUNT_SID",)
    text = typed("phone", "check", cwd=bot)
    assert text.returncode == 3
    assert "VD010" in text.stdout
    assert "TWILIO_AUTH_TOKEN" in text.stdout
    assert carrier.changes == []
