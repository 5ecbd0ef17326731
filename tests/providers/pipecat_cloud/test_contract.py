"""What every provider keeps, of Pipecat Cloud; against the stand-in, which counts what is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.pipecat_cloud import PipecatCloud

from tests.providers.pipecat_cloud.standin import Standin
from voicedeploy.provider import Provider
from voicedeploy.spec import Spec, load
from voicedeploy.testing import ProviderContract


class TestPipecatCloud(ProviderContract):
    @pytest.fixture
    def provider(self, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        cloud = PipecatCloud.configure({"region": "us-west"})
        yield cloud
        cloud.close()
        # Secrets are set at once; everything else waits for a plan to be carried out.
        assert {change.action for change in standin.changes} <= {"secrets.put", "secrets.unset"}

    @pytest.fixture
    def spec(self, tmp_path: Path) -> Spec:
        (tmp_path / "bot").mkdir()
        (tmp_path / "bot" / "bot.py").write_text("async def bot(runner_args):\n    pass\n")
        (tmp_path / "bot" / "requirements.txt").write_text("pipecat-ai[webrtc]==1.14.0\n")
        (tmp_path / "bot" / "voicedeploy.toml").write_text('[bot]\nname = "front-desk"\n[pool]\nmax = 3\n')
        return load(tmp_path / "bot" / "voicedeploy.toml")
