"""From a new bot to a heard call on Fly with an image that `up` makes and pushes; and what a changed line pushes.

The base image is the lab's Debian, the platform a stand-in whose machines run what was pushed to its registry.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.base import put
from tests.lab.desk import Desk
from tests.oci import Registry, serving
from tests.providers.fly.standin import Standin
from voicedeploy.image.layer import Layer
from voicedeploy.init.make import make
from voicedeploy.network import Transport

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
NAME = "front-desk"


class Laptop(Desk):
    app = NAME

    def __init__(self, root: Path, fly: Standin, cache: Path) -> None:
        super().__init__(root, fly)
        self.cache = cache

    @property
    def environment(self) -> dict[str, str]:
        """Layers of the lab's own cache; the packages are those that were fetched before."""
        usual = super().environment
        uv = usual.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
        return {**usual, "XDG_CACHE_HOME": str(self.cache), "UV_CACHE_DIR": uv}


@pytest.fixture
def laptop(tmp_path: Path, fly: Standin, cache: Path, base: Layer) -> Iterator[Laptop]:
    laptop = Laptop(tmp_path, fly, cache)
    laptop.root.rmdir()
    make(laptop.root, name=NAME, transport=Transport.WEBSOCKET, provider="fly")
    with serving(Registry()) as oci:
        spec = laptop.root / "voicedeploy.toml"
        spec.write_text(spec.read_text() + f'\n[provider.fly]\nbase = "{put(oci, base)}"\nregion = "fra"\n')
        yield laptop
    laptop.close()


def pushed(fly: Standin) -> int:
    """Bytes that the registry of the platform holds for the bot."""
    return sum(len(blob) for blob in fly.registry.repositories[NAME].blobs.values())


def test_the_image_that_up_makes_is_heard(laptop: Laptop, fly: Standin) -> None:
    (laptop.root / ".env").write_text("A_KEY=not-for-the-image\n")
    first = laptop.run("up", "--yes", "--json", timeout=600)
    assert first.code == 0, first
    assert first.json["call"]["ok"]
    machines = list(fly.app(NAME).alive())
    assert [machine.state for machine in machines] == ["started"] * 2
    assert all("@sha256:" in machine.config["image"] for machine in machines)
    before = pushed(fly)
    call = laptop.run("call", "--json")
    assert call.code == 0, call
    print(f"{before / 1e6:.1f} MB, first up {first.seconds:.0f} s")  # noqa: T201
    print("first word", call.json["runs"][0]["first_word_ms"])  # noqa: T201

    bot = laptop.root / "bot.py"
    bot.write_text(bot.read_text() + "\n# another line\n")
    second = laptop.run("up", "--yes", "--json", timeout=300)
    assert second.code == 0, second
    assert second.json["release"] != first.json["release"]
    assert second.json["call"]["ok"]
    print(f"{(pushed(fly) - before) / 1e3:.0f} kB, second up {second.seconds:.0f} s")  # noqa: T201
    assert 0 < pushed(fly) - before < 1_000_000
    images = {machine.config["image"] for machine in fly.app(NAME).alive()}
    assert len(images) == 2
