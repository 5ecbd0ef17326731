"""Run inside a network that has nothing but `lo`: one call, by aiortc or by a browser on the same machine."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Route, async_playwright

from tests.serve.worker.peer import Peer, on_loopback
from tests.serve.worker.rig import Child, worker

OFFER = """async () => {
  const pc = window.pc = new RTCPeerConnection();
  const media = await navigator.mediaDevices.getUserMedia({audio: true});
  pc.addTrack(media.getTracks()[0]);
  pc.createDataChannel("chat");
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") await new Promise(done => pc.onicegatheringstatechange = done);
  return pc.localDescription.sdp;
}"""
ANSWER = """async sdp => {
  await pc.setRemoteDescription({type: "answer", sdp});
  for (let turn = 0; turn < 100; turn++) {
    await new Promise(done => setTimeout(done, 100));
    for (const [, report] of await pc.getStats())
      if (report.type === "inbound-rtp" && report.packetsReceived > 20) return report.packetsReceived;
  }
  return 0;
}"""


async def by_aiortc(child: Child) -> None:
    on_loopback()
    peer = Peer()
    await peer.call(child)
    await peer.close()


async def by_browser(child: Child) -> None:
    async with async_playwright() as play:
        browser = await play.chromium.launch(
            executable_path="/usr/bin/chromium",
            # Without the last one Chromium makes no sockets at all on a machine that has only loopback.
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                "--allow-loopback-in-peer-connection",
            ],
        )
        page = await browser.new_page()

        async def empty(route: Route) -> None:
            await route.fulfill(body="<title>call</title>", content_type="text/html")

        await page.route("http://localhost/", empty)
        await page.goto("http://localhost/")
        offer = await page.evaluate(OFFER)
        reply = await child.ask("offer", sdp=offer, type="offer")
        assert "answer" in reply, reply
        assert await page.evaluate(ANSWER, reply["answer"]["sdp"]) > 0, "the browser received no audio"
        await page.evaluate("pc.close()")
        await browser.close()


async def main(by: str) -> None:
    folder = Path(tempfile.mkdtemp())
    async with worker(folder) as zygote:
        child = await zygote.fork()
        child.session(udp_ports=[21901, 21902])
        await {"aiortc": by_aiortc, "browser": by_browser}[by](child)
        await child.wait(event="state", state="connected")
        assert (await zygote.exited(child))["code"] == 0
        sys.stdout.write("heard\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
