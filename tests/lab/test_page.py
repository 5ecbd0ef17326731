"""The page in a real browser, against a bot that really listens and speaks."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.async_api import Browser

from tests.lab.browser import Caller, caller, chromium, speech
from tests.lab.front import Served, served

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

Picture = Callable[[Caller, str], Awaitable[None]]

SAID = "hello who are you"
GREETING = "Hello! Front desk speaking. How can I help you?"


@pytest.fixture(scope="module")
def front() -> Iterator[Served]:
    with served(slots=1) as front:
        yield front


@pytest.fixture(scope="module")
def one_slot(front: Served) -> str:
    return front.url


@pytest.fixture(scope="module")
def invited_only() -> Iterator[Served]:
    with served(slots=1, open_on_loopback=False) as front:
        yield front


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Room for the greeting before the first sentence, and for the answer before the next.
    return speech(tmp_path_factory.mktemp("speech") / "says.wav", SAID, lead_s=8, tail_s=4)


@pytest.fixture
async def browser(microphone: Path) -> AsyncIterator[Browser]:
    async with chromium(microphone) as browser:
        yield browser


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Kept only when VOICEDEPLOY_PICTURES names a folder: `docs/images` has those of the guide."""
    folder = Path(os.environ.get("VOICEDEPLOY_PICTURES", tmp_path))

    async def take(one: Caller, name: str) -> None:
        file = folder / f"{name}.png"
        await one.page.screenshot(path=file)
        assert file.stat().st_size > 20_000

    return take


async def talk(one: Caller) -> float:
    """Until the bot has answered the caller's sentence; its first voice to voice in milliseconds, as shown."""

    async def answered() -> bool:
        return await one.figure("voice-to-voice") is not None

    async def written() -> bool:
        return [side for side, _ in await one.transcript()][:3] == ["bot", "you", "bot"]

    await one.until_phase("talking")
    await one.until("voice to voice", answered, 40)
    voice_to_voice = await one.figure("voice-to-voice")
    await one.until("question and answer in the transcript", written, 10)
    assert voice_to_voice is not None
    return voice_to_voice


def words(lines: list[tuple[Literal["you", "bot"], str]], of: str) -> str:
    return " ".join(text for side, text in lines if side == of)


@pytest.mark.measures
async def test_a_conversation_is_heard_shown_and_measured(front: Served, browser: Browser, picture: Picture) -> None:
    async with caller(browser, front.url, scheme="dark") as one:
        assert await one.page.inner_text("#name") == "Front desk"
        await picture(one, "page-idle")
        await one.press()
        pressed = time.monotonic()
        voice_to_voice = await talk(one)
        await picture(one, "page")

        heard = await one.heard()
        assert heard.received > 200
        assert heard.sent > 200
        assert heard.energy > 0.01, "the bot's packets carry no sound"
        assert await one.figure("lost") == heard.lost == 0
        first_word = await one.figure("first-word")
        assert first_word is not None and 50 < first_word < (time.monotonic() - pressed) * 1000
        # The bot measures from its own side: the page adds the way there and back and the jitter buffer.
        measured = front.events("latency")[0]["voice_to_voice_ms"]
        assert measured - 150 < voice_to_voice < measured + 1500

        # What the recogniser made of the sentence is not the page's business: that it is shown is.
        async def shown_as_told() -> bool:
            told, shown = await one.told(), await one.transcript()
            return all(words(shown, side) == words(told, side) != "" for side in ("you", "bot"))

        assert (await one.transcript())[0] == ("bot", GREETING)
        await one.until("the words of both sides, as the bot sent them", shown_as_told, 5)

        await one.press()
        await one.until_phase("idle")
        assert (await one.state()).startswith("Call ended")
        after = await one.heard()
        await asyncio.sleep(0.5)
        assert (await one.heard()).received == after.received
        assert one.complaints == []


async def test_a_busy_bot_is_waited_for_until_a_slot_is_free(one_slot: str, browser: Browser, picture: Picture) -> None:
    async with caller(browser, one_slot) as first, caller(browser, one_slot, phone=True) as second:
        await first.press()
        await first.until_phase("talking")
        await second.press()
        await second.until_phase("waiting")
        assert "All lines are taken" in await second.notice()
        assert await second.page.inner_text("#mood") in {f"Trying again in {s} s" for s in range(1, 7)}
        assert (await second.heard()).received == 0
        await picture(second, "page-busy")

        await first.press()
        await second.until_phase("talking")
        assert await second.notice() == ""

        async def greeted() -> bool:
            return await second.figure("first-word") is not None

        await second.until("the bot's first word", greeted)
        waited = await second.figure("first-word")
        assert waited is not None and waited < 10_000, "the time in the queue is not the bot's"
        assert second.complaints == []


async def test_waiting_can_be_given_up(one_slot: str, browser: Browser) -> None:
    async with caller(browser, one_slot) as first, caller(browser, one_slot) as second:
        await first.press()
        await first.until_phase("talking")
        await second.press()
        await second.until_phase("waiting")
        await second.page.keyboard.press("Escape")
        await second.until_phase("idle")
        await first.press()
        await first.until_phase("idle")
        await asyncio.sleep(7)  # longer than Retry-After: nothing of the second may come back
        assert await second.phase() == "idle"


async def test_a_call_by_keyboard_alone(one_slot: str, browser: Browser) -> None:
    async with caller(browser, one_slot) as one:
        keyboard = one.page.keyboard
        await keyboard.press("Tab")
        assert await one.page.evaluate("document.activeElement.id") == "call"
        assert await one.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await keyboard.press("Space")
        await one.until_phase("talking")

        await keyboard.press("m")
        assert await one.page.get_attribute("#mute", "aria-pressed") == "true"
        assert await one.state() == "Microphone muted"
        muted = await one.page.evaluate(
            "peers[0].getSenders().filter(s => s.track?.kind === 'audio').map(s => s.track.enabled)"
        )
        assert muted == [False]
        await keyboard.press("m")
        assert await one.page.get_attribute("#mute", "aria-pressed") == "false"
        assert await one.state() == "Connected"

        await keyboard.press("Escape")
        await one.until_phase("idle")
        await keyboard.press("Enter")
        await one.until_phase("talking")
        await keyboard.press("Enter")
        await one.until_phase("idle")


async def test_on_a_phone_everything_to_touch_is_in_reach(one_slot: str, browser: Browser, picture: Picture) -> None:
    async with caller(browser, one_slot, phone=True) as one:
        assert await one.outside("name", "state", "call") == []
        await one.page.tap("#call")
        await talk(one)
        await picture(one, "page-phone")
        touched = ["name", "state", "call", "mute", "microphones", "first-word", "voice-to-voice", "transcript"]
        assert await one.outside(*touched) == []
        for button in ("call", "mute", "microphones"):
            box = await one.page.locator(f"#{button}").bounding_box()
            assert box and min(box["width"], box["height"]) >= 44, f"{button} is too small for a thumb: {box}"
        overflow = await one.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0
        await one.page.tap("#call")
        await one.until_phase("idle")


async def test_an_invitation_opens_and_leaves_the_address_bar(invited_only: Served, browser: Browser) -> None:
    invite = invited_only.client.invite(60).token
    async with caller(browser, f"{invited_only.url}#invite={invite}") as one:
        assert "invite" not in one.page.url
        await one.page.reload()
        await one.press()
        await one.until_phase("talking")
        await one.press()
        await one.until_phase("idle")


@pytest.mark.parametrize(
    ("fragment", "title"),
    [("", "You need an invitation"), ("#invite=an-old-one", "This link has expired")],
)
async def test_without_a_valid_invitation_the_page_explains(
    invited_only: Served, browser: Browser, fragment: str, title: str
) -> None:
    async with caller(browser, invited_only.url + fragment) as one:
        await one.press()
        await one.until_phase("idle")

        async def explained() -> bool:
            return title in await one.notice()

        await one.until("an explanation", explained)
        assert await one.page.inner_text("#call") == "Try again"
        assert one.complaints == []


async def test_without_a_microphone_no_slot_is_taken(one_slot: str) -> None:
    async with chromium(None) as browser, caller(browser, one_slot, microphone=False) as one:
        starts: list[str] = []
        one.page.on("request", lambda request: starts.append(request.url) if "start" in request.url else None)
        await one.press()

        async def explained() -> bool:
            return "microphone" in (await one.notice()).lower()

        await one.until("an explanation", explained)
        assert starts == []
        assert await one.phase() == "idle"


async def test_a_page_that_is_not_secure_says_so(one_slot: str, browser: Browser) -> None:
    plain = one_slot.replace("localhost", "bot.test")
    async with chromium(None, "--host-resolver-rules=MAP bot.test 127.0.0.1") as browser, caller(browser, plain) as one:
        assert "https" in await one.notice()
        assert await one.page.is_disabled("#call")


async def test_closing_the_page_frees_the_slot(one_slot: str, browser: Browser) -> None:
    async with caller(browser, one_slot) as first:
        await first.press()
        await first.until_phase("talking")
    async with caller(browser, one_slot) as second:
        began = time.monotonic()
        await second.press()
        await second.until_phase("talking", timeout_s=10)
        assert time.monotonic() - began < 10


async def test_a_bot_that_ends_the_call_is_told_from_a_lost_connection(browser: Browser) -> None:
    with served(slots=1) as front:
        async with caller(browser, front.url) as one:
            sessions: list[str] = []

            def remember(url: str) -> None:
                if "/sessions/" in url:
                    sessions.append(url.partition("/api/")[0])

            one.page.on("request", lambda request: remember(request.url))
            await one.press()
            await one.until_phase("talking")
            async with httpx.AsyncClient() as http:
                (await http.delete(sessions[-1])).raise_for_status()
            await one.until_phase("idle", timeout_s=5)
            assert (await one.state()).startswith("The bot ended the call")
            assert await one.notice() == ""

            await one.press()
            await one.until_phase("talking")
            front.process.kill()
            await one.until_phase("idle", timeout_s=40)
            assert await one.state() == "Connection lost"
            assert await one.page.inner_text("#call") == "Call again"

            await one.press()
            await one.until_phase("idle")
            assert "No answer" in await one.notice()
            assert [complaint for complaint in one.complaints if "ERR_" not in complaint] == []
