import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.fly.api import Fly, Token

from tests.providers.fly.house import House
from tests.providers.fly.standin import Image, Standin

_ECHO = Path(__file__).parent / "programs" / "echo.py"


@pytest.fixture
def standin() -> Iterator[Standin]:
    """With an image that echoes. Nothing said over it may differ from the vendor's description."""
    with Standin() as standin:
        standin.images.add("echo", Image((sys.executable, "-I", str(_ECHO))))
        yield standin
        wrong = list(standin.violations)
    assert not wrong


@pytest.fixture
def fly(standin: Standin) -> Iterator[Fly]:
    """A client whose sleeping skips the stand-in's time."""
    with Fly(Token.parse(standin.token), standin.places, clock=standin.clock) as fly:
        yield fly


@pytest.fixture
def house(standin: Standin, fly: Fly) -> House:
    """An app with nothing in it yet."""
    fly.apps.create("voice-bot", "personal")
    return House(standin, fly.app("voice-bot"))
