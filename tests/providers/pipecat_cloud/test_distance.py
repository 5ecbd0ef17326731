"""How far regions are, by real handshakes: with the stand-in, and with listeners that answer nobody."""

import socket
import time
from contextlib import ExitStack

import pytest
from voicedeploy_providers.pipecat_cloud.api import Places
from voicedeploy_providers.pipecat_cloud.distance import nearer, round_trips

from tests.providers.pipecat_cloud.standin import Standin
from tests.test_reach import silent as silent

CODES = ["us-west", "us-east", "eu-central", "ap-south"]


def test_each_region_has_an_address_of_its_own() -> None:
    assert Places().regional("eu-central") == "https://eu-central.api.pipecat.daily.co"


def test_a_region_here(standin: Standin) -> None:
    before = len(standin.requests)
    found = round_trips(standin.places, CODES)
    assert list(found) == CODES and all(ms is not None and ms < 50 for ms in found.values())
    assert len(standin.requests) == before, "nothing is asked"


def test_regions_that_do_not_answer_cost_no_more_time(silent: int) -> None:
    with ExitStack() as open_:
        listener = open_.enter_context(socket.create_server(("127.0.0.1", 0)))
        here = listener.getsockname()[1]

        class Mixed(Places):
            def regional(self, region: str) -> str:
                return f"http://127.0.0.1:{here if region == 'us-east' else silent}"

        began = time.monotonic()
        found = round_trips(Mixed(), CODES)
    assert time.monotonic() - began < 3
    assert [code for code, ms in found.items() if ms is not None] == ["us-east"]


@pytest.mark.parametrize(
    ("trips", "found"),
    [
        ({"us-west": 141.0, "us-east": 75.0, "eu-central": 12.0}, "eu-central"),
        ({"us-west": 61.0, "eu-central": 12.0}, ""),
        ({"us-west": 63.0, "eu-central": 12.0}, "eu-central"),
        ({"us-west": 12.0, "eu-central": 141.0}, ""),
        ({"us-west": None, "eu-central": 12.0}, ""),
        ({"us-west": 141.0, "eu-central": None}, ""),
        ({"us-west": None, "eu-central": None}, ""),
    ],
)
def test_which_is_nearer(trips: dict[str, float | None], found: str) -> None:
    assert nearer("us-west", trips) == found
