"""A front on this machine whose bots run on another platform, and back, by a value of the spec."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import warm
from tests.lab.local import Place, Result
from tests.providers.pipecat_cloud.standin import Standin
from voicedeploy.project import release

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

NAME = "talker"
ELSEWHERE = '[upstream]\nprovider = "pipecat-cloud"\n'
OF_CARRIERS = '[provider.pipecat-cloud]\nregion = "us-west"\norganization = "{}"\n'


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        settings = standin.settings
        settings.building_s = settings.secrets_s = settings.creating_s = 0.5
        # None answers in the lab, and the caller would wait for each.
        settings.ice_servers = []
        yield standin
        wrong = list(standin.violations)
    assert not wrong


@pytest.fixture
def place(standin: Standin, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, udp="21860-21867")
    made.talker()
    warm.furnish(made.root, made.state)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in standin.environment().items():
            patch.setenv(name, value)
        yield made
        if made.run("down", "--yes", "--now", "--provider", "local").code:
            raise AssertionError("the front is left behind")
        shutil.rmtree(made.runtime, ignore_errors=True)


def spec(place: Place, upstream: str = "", transport: str = "webrtc", more: str = "") -> None:
    (place.root / "voicedeploy.toml").write_text(
        f'[bot]\nname = "{NAME}"\n{upstream}[transport]\nkind = "{transport}"\n[pool]\nmin = 1\nmax = 2\n'
        f'[provider.local]\nport = {place.port}\nudp_ports = "{place.udp}"\n{more}'
    )


def heard(place: Place) -> str:
    """The id of its session."""
    called = place.run("call", "--turns", "1", "--json")
    assert called.code == 0 and called.json["runs"][0]["ok"], called
    return str(called.json["runs"][0]["session_id"])


def proved(up: Result) -> None:
    assert up.code == 0 and "first word" in up.err, up


def test_the_page_stays_and_the_bots_move_and_come_back(standin: Standin, place: Place) -> None:
    before = release(place.root, ("bot.py",))
    spec(place)
    proved(place.run("up", "--yes"))
    own = heard(place)
    bots = place.run("up", "--yes", "--provider", "pipecat-cloud")
    proved(bots)

    spec(place, ELSEWHERE)
    lacking = place.run("up", "--yes")
    assert lacking.code == 3 and "PIPECAT_CLOUD_PUBLIC_KEY" in lacking.err, lacking
    assert place.run("secrets", "set", "PIPECAT_CLOUD_PUBLIC_KEY", stdin=standin.org.public).code == 0
    running = place.begin("call", "--turns", "4", "--json")
    place.until_calls(1)
    moved = place.run("up", "--yes")
    proved(moved)
    there = heard(place)
    assert there in standin.agent(NAME).sessions and own not in standin.agent(NAME).sessions
    assert standin.org.public not in moved.out + moved.err
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, out + err

    last = len(standin.agent(NAME).sessions)
    spec(place)
    back = place.run("up", "--yes")
    proved(back)
    heard(place)
    assert len(standin.agent(NAME).sessions) == last
    assert release(place.root, ("bot.py",)) == before


def test_a_carriers_call_is_led_there(standin: Standin, place: Place) -> None:
    more = OF_CARRIERS.format(standin.org.name)
    spec(place, ELSEWHERE, "twilio", more)
    for name, value in (
        ("TWILIO_ACCOUNT_SID", "AC0"),
        ("TWILIO_AUTH_TOKEN", "t0k3n"),
        ("PIPECAT_CLOUD_PUBLIC_KEY", standin.org.public),
    ):
        for where in ("local", "pipecat-cloud"):
            assert place.run("secrets", "set", name, "--provider", where, stdin=value).code == 0
    assert place.run("up", "--yes", "--provider", "pipecat-cloud").code == 0
    proved(place.run("up", "--yes"))
    heard(place)
    assert all(session.status == "success" for session in standin.agent(NAME).sessions.values())
    assert len(standin.agent(NAME).sessions) == 3


def test_what_the_platform_refuses_is_told_in_its_place(standin: Standin, place: Place) -> None:
    spec(place, ELSEWHERE)
    assert place.run("secrets", "set", "PIPECAT_CLOUD_PUBLIC_KEY", stdin=standin.org.public).code == 0
    nobody = place.run("up", "--yes")
    assert nobody.code != 0 and "has no such agent" in nobody.err, nobody
    assert "voicedeploy up --provider pipecat-cloud" in nobody.err
    assert place.run("up", "--yes", "--provider", "pipecat-cloud").code == 0
    assert place.run("secrets", "set", "PIPECAT_CLOUD_PUBLIC_KEY", stdin="pk_of_somebody").code == 0
    stranger = place.run("up", "--yes")
    assert stranger.code != 0 and "does not accept the key" in stranger.err, stranger
