"""A project and a laptop with a token before a stand-in of Fly that really runs the machines."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forked
from tests.lab.local import Place, Result
from tests.processor import REALTIME
from tests.providers.fly.standin import Image, Standin
from tests.waiting import until

APP = "talker"
# A machine sees this computer, with a disk of its own laid over it: so the image of a test is a few links and a copy.
BEGIN = """
mkdir -p /opt/voicedeploy/venv/bin /opt/bot/venv/bin
ln -s {ours} /opt/voicedeploy/venv/bin/python && ln -s {bots} /opt/bot/venv/bin/python
cp -r {project} /opt/bot/app && cd /opt/bot/app
exec /opt/voicedeploy/venv/bin/python -P -m voicedeploy.serve /opt/bot/front.toml
"""


class Desk(Place):
    """A project and a laptop with a token, before a platform."""

    app = APP

    def __init__(self, root: Path, fly: Standin) -> None:
        super().__init__(root, udp="21940-21947")
        self.fly = fly
        begin = BEGIN.format(ours=forked.ours().python, bots=forked.bots().python, project=shlex.quote(str(self.root)))
        fly.images.add("talker", Image(("sh", "-c", begin)))

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.fly.environment(self.app)}

    def spec(self, *, name: str = APP, slots: int = 2, session: str = "", regions: str = '["fra"]') -> None:
        (self.root / "voicedeploy.toml").write_text(
            f'[bot]\nname = "{name}"\nprovider = "fly"\n[transport]\nkind = "websocket"\n[session]\n{session}\n'
            f'[pool]\nmin = 1\nmax = {slots}\n[provider.fly]\nimage = "talker"\nregion = {regions}\n'
        )

    def up(self, *more: str) -> Result:
        return self.run("up", "--yes", *more, timeout=300)

    def talk(self, turns: int) -> "subprocess.Popen[str]":
        """A call, which has begun."""
        return self.talks(1, "--turns", str(turns))

    def talks(self, count: int, *words: str) -> "subprocess.Popen[str]":
        """So many calls by one command, all of which have begun."""
        calls = self.begin("call", *words, "--json", turn=REALTIME)
        # The platform takes one request a second for a machine.
        until(lambda: calls.poll() is not None or self.status()["sessions"] == count, pause_s=1.0)
        assert calls.poll() is None, calls.communicate()
        return calls

    def machines(self) -> dict[str, str]:
        return {machine.name: machine.state for machine in self.fly.app(self.app).alive()}

    def close(self) -> None:
        for program in self._running:
            if program.poll() is None:
                program.kill()
            program.communicate()
        self._running.clear()
        (self.root / "voicedeploy.toml").unlink(missing_ok=True)
        super().close()

    def line(self, text: str) -> None:
        """The bot is another one: a release of its own."""
        bot = self.root / "bot.py"
        bot.write_text(bot.read_text() + f"\n# {text}\n")


@pytest.fixture
def fly() -> Iterator[Standin]:
    with Standin() as fly:
        yield fly
        wrong = list(fly.violations)
    assert not wrong


@pytest.fixture
def desk(tmp_path: Path, fly: Standin) -> Iterator[Desk]:
    desk = Desk(tmp_path, fly)
    desk.talker()
    yield desk
    desk.close()
