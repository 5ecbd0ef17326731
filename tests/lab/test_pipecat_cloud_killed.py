"""`voicedeploy up` to Pipecat Cloud, killed at each request that changes something: the next plain `up` makes it right.

A lane is a project before a platform of its own. Each is killed at another step of its first `up`, then of an update,
then of a change of secrets or of a `down`, and several go at once.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from voicedeploy_providers.pipecat_cloud.api import PipecatCloud
from voicedeploy_providers.pipecat_cloud.secrets import AgentSecrets

from tests.lab.local import REQUIREMENTS, TALKER, Place
from tests.providers.pipecat_cloud.standin import Standin
from tests.providers.pipecat_cloud.standin.world import Release
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

QUIET = Path(__file__).parents[1] / "providers" / "pipecat_cloud" / "bots" / "quiet.py"
NAME = "talker"
BUILT = ("build.upload-url", "build.upload", "build.create", "secrets.put")
FIRST = (*BUILT, "agent.create")
UPDATE = (*BUILT, "agent.update", "secrets.unset")
FORCED = ("agent.update", "secrets.unset")
DOWN = ("agent.delete", "secrets.delete", "secrets.delete")
AT_ONCE = 6


class Lane(Place):
    """`heard`: its bot can be called, and each repair is proven by that."""

    def __init__(self, root: Path, standin: Standin, *, heard: bool) -> None:
        super().__init__(root, udp="21731-21731")
        self.standin = standin
        self._words = ("up", "--yes", "--json", *(() if heard else ("--no-call",)))
        settings = standin.settings
        settings.secrets_s = settings.pending_s = 0.0
        settings.creating_s = settings.building_s = 0.3
        settings.lag_s = 0.3
        shutil.copy(TALKER if heard else QUIET, self.root / "bot.py")
        (self.root / "requirements.txt").write_text(REQUIREMENTS)
        # Of older releases none is kept, so that an update has something to clear away too.
        (self.root / "voicedeploy.toml").write_text(
            f'[bot]\nname = "{NAME}"\nprovider = "pipecat-cloud"\nsecrets = ["NOTE"]\n[pool]\nmin = 0\nmax = 2\n'
            f'[transport]\nkind = "exotel"\n[provider.pipecat-cloud]\nkeep = 0\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.standin.environment()}

    def note(self, value: str) -> None:
        """As `voicedeploy secrets set` does it."""
        with PipecatCloud(self.standin.private, None, self.standin.places) as cloud:
            AgentSecrets(lambda: cloud, NAME, lambda: "us-west").update({"NOTE": value})

    def line(self, text: str) -> None:
        """The bot is another one: a release of its own."""
        with (self.root / "bot.py").open("a") as file:
            file.write(f"\n# {text}\n")

    def killed(self, steps: tuple[str, ...], at: int, *words: str) -> None:
        """A command, `up` if it is none, killed when the platform has carried out so many of its steps, and has not
        answered the last; or, where there are fewer, while it waits for what it began."""
        before = len(self.standin.changes)
        self.standin.mute(at if at <= len(steps) else None)
        command = self.begin(*(words or ("up", "--no-call")), "--yes")

        def there() -> bool:
            assert command.poll() is None, (steps, at, command.communicate())
            changes = len(self.standin.changes) - before
            return changes >= at or (changes == len(steps) < at and not self.standin.requests[-1].changes)

        until(there)
        command.kill()
        command.communicate()
        self.standin.mute(None)
        assert tuple(change.action for change in self.standin.changes[before:]) == steps[:at]

    def repaired(self, releases: int) -> None:
        """A plain `up` makes it what it was to be, and nothing is there twice."""
        up = self.run(*self._words)
        assert up.code == 0, up
        assert "--no-call" in self._words or not up.json["changed"] or up.json["call"]["ok"], up
        agent = self.standin.agent(NAME)
        live = agent.serving
        assert live is agent.newest and live is not None and live.phase == "Active", up
        assert len(agent.releases) == releases, up
        records = [key for key in self.standin.world.secrets[f"{NAME}.voicedeploy"].values if key.startswith("r-")]
        assert len(records) == 1 and records[0].startswith(f"r-{up.json['release']}"), (records, up)
        until(lambda: self._alone(live))

    def settled(self) -> None:
        """There is nothing left to do."""
        again = self.run(*self._words)
        assert again.code == 0 and not again.json["changed"], again

    def gone(self) -> None:
        down = self.run("down", "--yes")
        assert down.code == 0, down
        world = self.standin.world
        assert not world.agents and not world.secrets, down
        until(lambda: not any(True for agent in world.gone for _ in agent.alive()))

    def _alone(self, live: Release) -> bool:
        return all(instance.release is live for instance in self.standin.agent(NAME).alive())

    def close(self) -> None:
        for program in self._running:
            if program.poll() is None:
                program.kill()
            program.communicate()
        shutil.rmtree(self.runtime, ignore_errors=True)


@contextmanager
def lane(root: Path, *, heard: bool) -> Iterator[Lane]:
    with Standin() as standin:
        made = Lane(root, standin, heard=heard)
        try:
            yield made
        finally:
            made.close()
        assert not standin.violations


def walk(root: Path, at: int) -> None:
    with lane(root, heard=at == len(FIRST)) as bot:
        bot.note("one")
        bot.killed(FIRST, at)
        bot.repaired(1)
        bot.line("another")
        bot.killed(UPDATE, at)
        bot.repaired(2)
        if at <= len(FORCED):
            bot.note("two")
            bot.killed(FORCED, at)
            # Whether the agents have the secret is not known until the note of it is gone: once too often is safe.
            bot.repaired(4 if at == 1 else 3)
            assert bot.standin.agent(NAME).newest.env == {"NOTE": "two"}
            return
        bot.settled()
        if at - len(FORCED) < len(DOWN):
            bot.killed(DOWN, at - len(FORCED), "down")
            bot.gone()


def test_at_every_step(tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as lanes:
        for done in [lanes.submit(walk, tmp_path / str(at), at) for at in range(1, len(UPDATE) + 1)]:
            done.result()
