"""The contract of every provider, with a real host behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.vm import Vm

from tests.lab import hosts
from tests.lab.ssh import Desk
from voicedeploy.provider import Provider
from voicedeploy.spec import Spec, load
from voicedeploy.testing import ProviderContract

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def desk(lab: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    host = hosts.make("contract")
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.add(host)
    yield desk
    hosts.drop(host)


class TestVm(ProviderContract):
    @pytest.fixture
    def provider(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
        monkeypatch.setenv("PATH", desk.environment["PATH"])
        vm = Vm.configure({"host": "contract"})
        yield vm
        vm.close()

    @pytest.fixture
    def spec(self, small_project: Path) -> Spec:
        return load(small_project / "voicedeploy.toml")
