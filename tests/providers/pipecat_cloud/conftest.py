import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.pipecat_cloud.api import PipecatCloud

from tests.providers.pipecat_cloud.house import House
from tests.providers.pipecat_cloud.standin import Image, Standin

_QUIET = Path(__file__).parent / "bots" / "quiet.py"


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    """With an image of a bot that says nothing. Nothing said over it may differ from the vendor's description."""
    with Standin() as standin:
        app = tmp_path / "quiet"
        app.mkdir()
        shutil.copy(_QUIET, app / "bot.py")
        standin.push("acme/quiet:1", Image(app))
        yield standin
        wrong = list(standin.violations)
    assert not wrong


@pytest.fixture
def cloud(standin: Standin) -> Iterator[PipecatCloud]:
    """A client whose sleeping skips the stand-in's time."""
    with PipecatCloud(standin.private, standin.public, standin.places, clock=standin.clock) as cloud:
        yield cloud


@pytest.fixture
def house(standin: Standin, cloud: PipecatCloud) -> House:
    return House(standin, cloud)
