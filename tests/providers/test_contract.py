"""Every bundled provider passes the contract."""

from pathlib import Path

import pytest
from voicedeploy_providers.local import Local

from voicedeploy.provider import Provider
from voicedeploy.spec import Spec, load
from voicedeploy.testing import ProviderContract


class TestLocal(ProviderContract):
    @pytest.fixture
    def provider(self, home: Path) -> Provider:
        return Local.configure({"port": 17860, "udp_ports": "21900-21907"})

    @pytest.fixture
    def spec(self, small_project: Path) -> Spec:
        return load(small_project / "voicedeploy.toml")
