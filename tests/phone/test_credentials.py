"""What a phone needs of the bot's secrets and of the spec, before anything is brought up."""

import tomllib
from pathlib import Path

import pytest

from voicedeploy import readiness, transports
from voicedeploy.errors import SpecError
from voicedeploy.front import Seat, config
from voicedeploy.network import Transport
from voicedeploy.phone import KEYS
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.phone import CARRIERS
from voicedeploy.spec import LONGEST_SAID, Spec, load


def spec(folder: Path, kind: str = "twilio", more: str = "") -> Spec:
    file = folder / "voicedeploy.toml"
    file.write_text(f'[bot]\nname = "front-desk"\n[transport]\nkind = "{kind}"\n{more}')
    return load(file)


@pytest.mark.parametrize("kind", CARRIERS)
def test_what_checks_signatures_is_asked_for(tmp_path: Path, kind: str) -> None:
    needed = transports.about(Transport(kind)).secrets
    assert CARRIERS[kind].SIGNING_SECRET in needed
    assert set(KEYS[kind]) <= set(needed)
    assert readiness.credentials(spec(tmp_path, kind), needed) == []
    for name in needed:
        found = readiness.credentials(spec(tmp_path, kind), set(needed) - {name})
        assert [(f.code, f.severity) for f in found] == [("VD010", "error")]
        assert name in found[0].message
        assert found[0].fix == f"voicedeploy secrets set {name}"


def test_two_kinds_of_credentials_are_one_too_many(tmp_path: Path) -> None:
    known = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET"]
    found = readiness.credentials(spec(tmp_path), known)
    assert [(f.code, f.fix) for f in found] == [("VD174", "voicedeploy secrets unset TWILIO_API_KEY TWILIO_API_SECRET")]
    assert readiness.credentials(spec(tmp_path, "exotel"), known) == []


def test_what_is_said_reaches_the_front(tmp_path: Path) -> None:
    said = '[phone]\ngreeting = "He said \\"hi\\""\npatience = "90s"\nvoice = "Polly.Amy"\n'
    wanted = spec(tmp_path, more=said + '[access]\npublic_url = "https://tunnel.example.org"\n')
    seat = Seat("p", "python", "s", "key", "front.sock", "127.0.0.1", 7860, "20000-20007")
    made = FrontConfig.model_validate(tomllib.loads(config(wanted, "r1", seat)), context={"folder": tmp_path})
    assert made.access.public_url == "https://tunnel.example.org"
    assert (made.phone.greeting, made.phone.patience_s, made.phone.voice) == ('He said "hi"', 90, "Polly.Amy")
    # What is not said is the same on both sides.
    plain = FrontConfig.model_validate(tomllib.loads(config(spec(tmp_path), "r1", seat)), context={"folder": tmp_path})
    assert plain.phone == type(plain.phone)()


@pytest.mark.parametrize(
    ("more", "key"),
    [
        (f'[phone]\ngreeting = "{"x" * (LONGEST_SAID + 1)}"', "phone.greeting"),
        ('[phone]\npatience = "soon"', "phone.patience"),
        ('[access]\npublic_url = "talk.example.org"', "access.public_url"),
        ('[access]\npublic_url = "https://talk.example.org/phone"', "access.public_url"),
    ],
)
def test_faults_of_the_spec(tmp_path: Path, more: str, key: str) -> None:
    with pytest.raises(SpecError, match=f"voicedeploy.toml: {key}: "):
        spec(tmp_path, more=more)
