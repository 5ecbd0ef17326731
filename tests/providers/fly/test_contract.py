"""What every provider keeps, of Fly; against the stand-in, which counts what is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.fly import Fly

from tests.providers.fly.standin import Standin
from voicedeploy.provider import Provider
from voicedeploy.spec import Spec, load
from voicedeploy.testing import ProviderContract


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as fly:
        yield fly
        assert not fly.violations


class TestFly(ProviderContract):
    @pytest.fixture
    def provider(self, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        fly = Fly.configure({"region": "fra"})
        yield fly
        fly.close()
        # Secrets are set at once, in an app that is made for them; everything else waits for a plan to be carried out.
        assert {change.action for change in standin.changes} <= {"app.create", "secrets.set", "secrets.unset"}

    @pytest.fixture
    def spec(self, tmp_path: Path) -> Spec:
        (tmp_path / "bot.py").write_text("async def bot(runner_args):\n    pass\n")
        (tmp_path / "requirements.txt").write_text("pipecat-ai[websocket]==1.14.0\n")
        spec = '[bot]\nname = "front-desk"\n[transport]\nkind = "websocket"\n[pool]\nmax = 3\n'
        (tmp_path / "voicedeploy.toml").write_text(spec)
        return load(tmp_path / "voicedeploy.toml")
