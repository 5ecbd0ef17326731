"""Pipecat's SmallWebRTC, as a browser calls: an offer, UDP packets, and RTVI over a data channel."""

import asyncio
import time
from collections.abc import Mapping

from aiortc import RTCDataChannel, RTCIceServer

from voicedeploy.call.audio import Speech
from voicedeploy.call.callee import Callee
from voicedeploy.call.ear import Ear
from voicedeploy.call.lines.line import ASK_AGAIN_S, Moments, Said
from voicedeploy.call.lines.webrtc.connection import Media
from voicedeploy.call.lines.webrtc.listening import Listening
from voicedeploy.call.lines.webrtc.microphone import Microphone
from voicedeploy.call.options import CallOptions
from voicedeploy.call.rtvi import Transcript, client_ready, ping
from voicedeploy.call.run import CandidatePair, Failure
from voicedeploy.call.script import Script
from voicedeploy.call.signalling import CallFailed, Signalling, Started, odd


class WebRtc:
    """A packet's `arrival` is when it came."""

    def __init__(self, target: Callee, options: CallOptions) -> None:
        self.ear = Ear()
        self.transcript = Transcript()
        self.moments = Moments()
        self._target = target
        self._options = options
        self._listening = Listening(self.ear)
        self._microphone = Microphone()
        self._media: Media | None = None
        self._pinging: asyncio.Future[None] | None = None
        self._asking: asyncio.Future[None] | None = None
        self._round_trips: list[float] = []

    def rehearse(self, script: Script) -> None:
        """Scripts are encoded as it is."""

    async def start(self, signalling: Signalling) -> Started:
        return await signalling.start("webrtc")

    async def connect(self, started: Started, signalling: Signalling) -> None:
        if started.body and started.session_id is None:
            raise CallFailed(odd("/start", "names no sessionId"))
        self._media = media = self._prepared(started.body)
        media.channel.on("open", lambda: media.channel.send(client_ready()))
        media.channel.on("message", self.transcript.take)
        self._pinging = asyncio.ensure_future(_ping(media.channel))
        answer = await signalling.offer(started.session_id, await media.offer())
        self.moments.answered = time.monotonic()
        await media.accept(answer)
        await media.connected(self._options.connect_timeout_s)
        self._asking = asyncio.ensure_future(self._ask(media))

    def say(self, speech: Speech) -> Said:
        return self._microphone.say(speech)

    @property
    def ended(self) -> bool:
        return self._media is not None and self._media.ended

    def broken(self) -> Failure | None:
        return None

    def lateness(self) -> list[float]:
        return self._microphone.lateness

    def ahead_ms(self) -> float | None:
        return None

    def pair(self) -> CandidatePair | None:
        return self._media.pair() if self._media else None

    def round_trips(self) -> list[float]:
        return self._round_trips

    def on_same_machine(self) -> bool:
        return self._media is not None and self._media.on_same_machine()

    async def close(self) -> None:
        for task in (self._pinging, self._asking):
            if task is not None:
                task.cancel()
        if self._media is not None:
            await self._media.close()

    async def _ask(self, media: Media) -> None:
        while not media.ended:
            if (took := await media.round_trip()) is not None:
                self._round_trips.append(took)
            await asyncio.sleep(ASK_AGAIN_S)

    def _prepared(self, body: Mapping[str, object]) -> Media:
        config = body.get("iceConfig")
        return Media(
            self.moments,
            self._listening,
            self._microphone,
            _ice_servers(config),
            relay_only=self._options.relay_only or _relay_only(config),
            loopback=self._target.on_loopback,
        )


async def warm_up() -> None:
    """Everything that the first call of a process would pay for: codecs, certificates, a peer connection."""
    media = Media(Moments(), Listening(Ear()), Microphone(), (), relay_only=False, loopback=True)
    try:
        await media.offer()
    finally:
        await media.close()


async def _ping(channel: RTCDataChannel) -> None:
    while channel.readyState in ("connecting", "open"):
        if channel.readyState == "open":
            channel.send(ping())
        await asyncio.sleep(1)


def _relay_only(config: object) -> bool:
    """As the page does what the front wants of it."""
    return isinstance(config, dict) and config.get("iceTransportPolicy") == "relay"


def _ice_servers(config: object) -> tuple[RTCIceServer, ...]:
    servers = config.get("iceServers") if isinstance(config, dict) else None
    return tuple(
        RTCIceServer(urls=one["urls"], username=one.get("username"), credential=one.get("credential"))
        for one in (servers if isinstance(servers, list) else [])
        if isinstance(one, dict) and one.get("urls")
    )
