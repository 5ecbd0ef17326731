from pathlib import Path

import pytest

from tests.lab.base import base
from tests.lab.desk import desk, fly
from tests.lab.hosts.fixtures import lab, make_host
from tests.lab.warm import warm_host

__all__ = ["base", "desk", "fly", "lab", "make_host", "warm_host"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test has packed of an image, the next one need not."""
    return tmp_path_factory.mktemp("cache")
