"""Real fronts, compared: an injected distance, an injected pause in `/start`, a bot that thinks, and nothing at all."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import voicedeploy.call
from tests.call.test_client import SHORT
from tests.lab.front import Served, served
from tests.lab.local import TALKER
from tests.lab.slowlink import SlowLink, slow_link
from voicedeploy.call import Callee, CallOptions
from voicedeploy.comparing import Comparison, Contrast, Difference, Side, compare

pytestmark = [pytest.mark.lab, pytest.mark.quiet, pytest.mark.timeout(900)]

QUICK = CallOptions(quiet_s=0.4, hear_out=False, busy_wait_s=30)
ROUNDS = 11
"""So that two that met a hiccup change nothing."""
# Of other sound than a synthesizer's, Pipecat knows at once that it has ended.
TALK = TALKER.read_text("utf-8").replace("TTSAudioRawFrame", "SpeechOutputAudioRawFrame")
THINKING = f'import os\nos.environ["THINK_MS"] = "300"\n{TALK}'
HELLO = Path(voicedeploy.call.__file__).parent / "speech" / "hello.wav"
TRIPS = 5
"""To the first word, on a connection that stands: start, offer, ICE, DTLS, and the word itself."""


def side(name: str, front: Served) -> Side:
    return Side(name, Callee.parse(front.url, key=front.key))


def behind(link: SlowLink) -> AbstractContextManager[Served]:
    return served(slots=2, bot=TALK, host=link.address, namespace=link.namespace)


def total(contrast: Contrast, figure: str) -> Difference:
    found = getattr(contrast, figure).total
    assert isinstance(found, Difference)
    return found


def heard(made: Comparison) -> Comparison:
    assert made.ok, [run.error for one in made.outcomes for run in one.report.runs if run.error]
    return made


async def test_an_injected_distance_is_found_and_said_to_be_one() -> None:
    """30 ms there against 180: 300 ms for each round trip. What a bot does during the handshakes hides behind both."""
    with (
        slow_link(30, number=0) as short,
        slow_link(180, number=1) as long,
        behind(short) as near,
        behind(long) as far,
    ):
        made = heard(await compare([side("near", near), side("far", far)], SHORT, QUICK, rounds=ROUNDS))
    (contrast,) = made.contrasts
    ways = [one.way for one in made.outcomes]
    injected = [pytest.approx(60, abs=15), pytest.approx(360, abs=15)]
    assert [way.media if way else None for way in ways] == injected
    assert [way.signalling if way else None for way in ways] == injected
    assert total(contrast, "voice_to_voice").median == pytest.approx(300, rel=0.1)
    assert total(contrast, "first_word").median == pytest.approx(TRIPS * 300, rel=0.1)
    assert contrast.voice_to_voice.where == contrast.first_word.where == ("network",)
    for phase, apart in contrast.phases.items():
        assert apart is not None and apart.median == pytest.approx(300, abs=50), phase


async def test_pauses_are_found_where_they_are_and_none_where_there_is_none() -> None:
    with (
        served(slots=2, bot=TALK) as plain,
        served(slots=2, bot=TALK) as twin,
        served(slots=2, bot=THINKING) as slow,
    ):
        async with pausing(plain, before=b"POST /start ", seconds=1) as cold:
            sides = [side("plain", plain), side("twin", twin), side("slow", slow), Side("cold", cold)]
            made = heard(await compare(sides, SHORT, QUICK, rounds=ROUNDS))
    twins, thinks, starts = made.contrasts
    assert not total(twins, "first_word").found and not total(twins, "voice_to_voice").found
    assert total(thinks, "voice_to_voice").median == pytest.approx(300, rel=0.1)
    assert thinks.voice_to_voice.where == ("bot",)
    assert total(starts, "first_word").median == pytest.approx(1000, rel=0.1)
    assert starts.first_word.where == ("start",)
    assert starts.voice_to_voice.where == ()


def test_the_command_shows_it_all(tmp_path: Path) -> None:
    with served(slots=2, bot=TALK) as one, served(slots=2, bot=THINKING) as other:
        words = ["compare", f"one={one.url}", f"other={other.url}", "--runs", "8", "--report", "page.html"]
        words += ["--wav", str(HELLO)]
        done = subprocess.run(
            [sys.executable, "-m", "voicedeploy", *words],
            cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip
        sessions = [front.client.status().sessions for front in (one, other)]
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(sessions)
    head, heard_in, *rest = done.stdout.splitlines()
    assert head.split() == ["one", "other", "apart"]
    assert heard_in.split() == ["heard", "8", "of", "8", "8", "of", "8"]
    assert any(line.startswith("voice to voice p50") and "bot +0." in line for line in rest), done.stdout
    assert any("Good enough for your users:" in line for line in rest)
    figures = (tmp_path / "page.html").read_text("utf-8").split('id="report">', 1)[1].split("</script>", 1)[0]
    assert json.loads(figures)["differences"][0]["voice_to_voice"]["where"] == ["bot"]


@asynccontextmanager
async def pausing(front: Served, *, before: bytes, seconds: float) -> AsyncIterator[Callee]:
    """The same front by another address, where requests that begin so are passed on late."""
    there = urlsplit(front.url).port
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", there)
        for source, target in ((reader, requests), (answers, writer)):
            tasks.add(asyncio.create_task(passed_on(source, target)))

    async def passed_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65_536):
                if piece.startswith(before):
                    await asyncio.sleep(seconds)
                target.write(piece)
        except ConnectionError:  # whoever hangs up first
            pass
        finally:
            target.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, family=socket.AF_INET)
    try:
        port = server.sockets[0].getsockname()[1]
        yield Callee.parse(f"http://localhost:{port}/", key=front.key)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
