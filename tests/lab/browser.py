"""A caller in a real browser: headless Chromium whose microphone plays a wav, on the page that the front serves."""

import asyncio
import shutil
import subprocess
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright

# Keeps every peer connection that the page makes and what the bot sent on it, for a test to compare with.
KEEP_PEERS = """
window.peers = [];
window.told = [];
window.RTCPeerConnection = class extends window.RTCPeerConnection {
  constructor(...options) { super(...options); window.peers.push(this); }
  createDataChannel(...options) {
    const channel = super.createDataChannel(...options);
    channel.addEventListener("message", event => window.told.push(JSON.parse(event.data)));
    return channel;
  }
};
"""
READ_TOLD = """() => window.told.flatMap(({type, data}) =>
  type === "user-transcription" && data.final ? [["you", data.text.trim()]]
  : type === "bot-output" && data.spoken_status === "new" ? [["bot", data.text.trim()]] : [])"""
READ_PEERS = """async () => {
  const sum = {received: 0, lost: 0, energy: 0, sent: 0};
  for (const peer of window.peers) {
    for (const entry of (await peer.getStats()).values()) {
      if (entry.type === "inbound-rtp" && entry.kind === "audio") {
        sum.received += entry.packetsReceived;
        sum.lost += entry.packetsLost;
        sum.energy += entry.totalAudioEnergy;
      }
      if (entry.type === "outbound-rtp" && entry.kind === "audio") sum.sent += entry.packetsSent;
    }
  }
  return sum;
}"""
READ_ADDRESSES = """() => window.peers.flatMap(peer =>
  peer.localDescription.sdp.split("\\r\\n").filter(line => line.startsWith("a=candidate:")))"""
READ_TRANSCRIPT = """list => [...list.children].map(line =>
  [line.className, line.querySelector(".said").textContent.trim()])"""
READ_INSIDE = """ids => ids.filter(id => {
  const box = document.getElementById(id).getBoundingClientRect();
  return !(box.width > 0 && box.left >= 0 && box.top >= 0
    && box.right <= innerWidth + 0.5 && box.bottom <= innerHeight + 0.5);
})"""


def speech(file: Path, text: str, *, lead_s: float, tail_s: float) -> Path:
    """Speech in a quiet room, 48 kHz mono: Chromium plays it as the microphone, over and over.

    The room's noise (-60 dBFS) matters: after digital silence, the browser's noise suppression takes the first
    words for noise.
    """
    spoken, padded = file.with_suffix(".spoken.wav"), file.with_suffix(".padded.wav")
    sox = _tool("sox")
    subprocess.run([_tool("flite"), "-voice", "slt", "-t", text, "-o", spoken], check=True)
    form = ["-r", "48000", "-c", "1", "-b", "16"]
    subprocess.run([sox, spoken, *form, padded, "gain", "-n", "-3", "pad", str(lead_s), str(tail_s)], check=True)
    room = "|sox -R -n -r 48000 -c 1 -p synth 60 pinknoise vol 0.003"
    subprocess.run(
        [sox, "-m", "-v", "1", padded, "-v", "1", room, *form, file, "trim", "0", _length(padded)], check=True
    )
    return file


def _length(file: Path) -> str:
    """In samples, as sox wants it."""
    with wave.open(str(file)) as sound:
        return f"{sound.getnframes()}s"


def _tool(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is not installed; .ci/run tells how"
    return path


@asynccontextmanager
async def chromium(microphone: Path | None, *flags: str, program: Path | None = None) -> AsyncIterator[Browser]:
    """A browser of its own. Without a wav there is no microphone. Sound may begin only after a click, as for people.

    `program` starts it in place of Chromium itself."""
    options = ["--no-sandbox", "--autoplay-policy=user-gesture-required", *flags]
    if microphone:
        options += [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program or _tool("chromium"), headless=True, args=options
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(frozen=True)
class Heard:
    """What the browser's peer connections received and sent, by RTP statistics."""

    received: int
    lost: int
    energy: float
    sent: int


@dataclass
class Caller:
    """One tab on the page of a bot, used as a person would use it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors of the page and of its content security policy."""

    async def press(self) -> None:
        await self.page.click("#call")

    async def state(self) -> str:
        return await self.page.inner_text("#state")

    async def phase(self) -> str:
        return await self.page.get_attribute("#shell", "data-phase") or ""

    async def notice(self) -> str:
        return await self.page.inner_text("#notice")

    async def transcript(self) -> list[tuple[Literal["you", "bot"], str]]:
        lines = await self.page.locator("#transcript").evaluate(READ_TRANSCRIPT)
        return [(side, text) for side, text in lines]

    async def told(self) -> list[tuple[Literal["you", "bot"], str]]:
        """What the bot sent of both sides' words, sentence by sentence."""
        return [(side, text) for side, text in await self.page.evaluate(READ_TOLD)]

    async def figure(self, name: str) -> float | None:
        """`first-word`, `voice-to-voice`, `round-trip`, `jitter` (ms) or `lost` (packets), as shown."""
        value = await self.page.get_attribute(f"#{name}", "value")
        return float(value) if value else None

    async def heard(self) -> Heard:
        return Heard(**await self.page.evaluate(READ_PEERS))

    async def addresses(self) -> list[str]:
        """What its peer connections offered to the bot: the candidates' lines of SDP."""
        named: list[str] = await self.page.evaluate(READ_ADDRESSES)
        return named

    async def outside(self, *ids: str) -> list[str]:
        """Those of the elements that are not wholly within the window."""
        missing: list[str] = await self.page.evaluate(READ_INSIDE, list(ids))
        return missing

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], timeout_s: float = 20) -> None:
        """Waits until `holds()` gives something true; else fails and says where the page stands."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await holds():  # noqa: ASYNC110 - the page is in another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(
                f"{what}: not within {timeout_s} s; the page says {await self.state()!r}, {await self.notice()!r}, "
                f"transcript {await self.transcript()}, complaints {self.complaints}"
            ) from None

    async def until_phase(self, *phases: str, timeout_s: float = 20) -> None:
        async def reached() -> bool:
            return await self.phase() in phases

        await self.until(f"phase {' or '.join(phases)}", reached, timeout_s)


@asynccontextmanager
async def caller(
    browser: Browser,
    url: str,
    *,
    phone: bool = False,
    scheme: Literal["light", "dark"] = "light",
    microphone: bool = True,
    calm: bool = False,
) -> AsyncIterator[Caller]:
    """Opens the page in a context of its own (no cookies or storage of others)."""
    context = await browser.new_context(
        permissions=["microphone"] if microphone else [],
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
        device_scale_factor=2 if phone else 1.5,
        is_mobile=phone,
        has_touch=phone,
        color_scheme=scheme,
        reduced_motion="reduce" if calm else "no-preference",
    )
    page = await context.new_page()
    one = Caller(page)

    def console(message: ConsoleMessage) -> None:
        # The browser itself reports every answer that is not 2xx; the page is meant to meet those.
        if message.type == "error" and "Failed to load resource" not in message.text:
            one.complaints.append(message.text)

    page.on("console", console)
    page.on("pageerror", lambda error: one.complaints.append(str(error)))
    await page.add_init_script(KEEP_PEERS)
    try:
        await _opened(page, url)
        yield one
    finally:
        await context.close()


async def _opened(page: Page, url: str) -> None:
    """The browser drops what it loads when another host of the lab comes to this machine or goes."""
    for _ in range(5):
        try:
            await page.goto(url)
            return
        except Error as error:
            if "ERR_NETWORK_CHANGED" not in error.message:
                raise
    await page.goto(url)
