"""`voicedeploy up` of a bot in a Daily room, on this machine, by the real command.

Daily's API is a stand-in, and a stub of daily-python lies in the bot's folder: what is proved is what `up` says.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import tests.serve.rooms
from tests.lab import warm
from tests.lab.local import Place, Result
from tests.serve.rooms import daily_standin
from tests.serve.rooms.daily_standin import Daily
from tests.serve.rooms.standin import standing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

HERE = Path(tests.serve.rooms.__file__).parent


@asynccontextmanager
async def place_of(folder: Path) -> AsyncIterator[tuple[Place, Daily]]:
    daily = Daily()
    place = Place(folder, udp="21200-21203")
    place.spec(name="parrot")
    spec = place.root / "voicedeploy.toml"
    spec.write_text(spec.read_text() + '[transport]\nkind = "daily"\nregion = "eu-west-2"\n')
    shutil.copy(HERE / "bot.py", place.root)
    shutil.copy(HERE / "stub_daily.py", place.root / "daily.py")
    (place.root / "requirements.txt").write_text("pipecat-ai[daily,websocket]==1.14.0\n")
    warm.furnish(place.root, place.state)
    (folder / "stub").mkdir()
    async with standing(daily):
        try:
            yield place, daily
        finally:
            place.close()


async def run(place: Place, *words: str, stdin: str = "") -> Result:
    return await asyncio.to_thread(place.run, *words, stdin=stdin)


async def secret(place: Place, name: str, value: str) -> None:
    assert (await run(place, "secrets", "set", name, stdin=f"{value}\n")).code == 0


async def test_up_says_joined_and_not_heard(tmp_path: Path) -> None:
    async with place_of(tmp_path) as (place, daily):
        unready = await run(place, "up")
        assert unready.code == 3
        assert "DAILY_API_KEY" in unready.err
        assert "voicedeploy secrets set DAILY_API_KEY" in unready.err
        await secret(place, "DAILY_API_KEY", daily_standin.KEY)
        await secret(place, "DAILY_API_URL", daily.api)
        await secret(place, "DAILY_STUB", str(tmp_path / "stub"))
        up = await run(place, "up")
        assert up.code == 0, up
        (line,) = [line for line in up.err.splitlines() if "joined" in line]
        assert line.startswith("✓ joined")
        assert "nobody listened there" in line
        assert "heard" not in up.err
        assert daily.made == 1
        assert daily.rooms == {}
        call = await run(place, "call")
        assert call.code == 0, call
        assert "only somebody in the room can tell" in call.out
        assert daily_standin.KEY not in up.err + up.out + call.out + call.err


async def test_a_wrong_key_takes_no_traffic(tmp_path: Path) -> None:
    async with place_of(tmp_path) as (place, daily):
        await secret(place, "DAILY_API_KEY", "wrong-key")
        await secret(place, "DAILY_API_URL", daily.api)
        await secret(place, "DAILY_STUB", str(tmp_path / "stub"))
        up = await run(place, "up")
        assert up.code == 4, up
        assert "Daily does not accept the API key" in up.err
        assert "voicedeploy secrets set DAILY_API_KEY" in up.err
        assert "wrong-key" not in up.err


async def test_a_bot_that_is_not_let_in_takes_no_traffic(tmp_path: Path) -> None:
    async with place_of(tmp_path) as (place, daily):
        await secret(place, "DAILY_API_KEY", daily_standin.KEY)
        await secret(place, "DAILY_API_URL", daily.api)
        await secret(place, "DAILY_STUB", str(tmp_path / "stub"))
        (tmp_path / "stub" / "refused").touch()
        up = await run(place, "up")
        assert up.code == 4, up
        assert "no-connection" in up.err
        assert daily.rooms == {}
