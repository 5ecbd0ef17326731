"""A bot that speaks a tone, on any transport: greets as it is told to, and answers when it hears the end of speech.

Set by the environment, because the tests start it as its own process:
GREETS = connect | ready | never      ANSWERS = yes | no | echo  HANGS_UP_AFTER = number of answers
START_MS = before the pipeline runs   THINK_MS, SPEAK_MS = injected before every answer
GREETS_S = length of the greeting     YIELDS = yes: falls silent when it is spoken to
A key of the telephone is answered by a tone of 600 Hz and 100 more for each digit.
"""

import asyncio
import os
import time

import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import (
    AggregatedTextFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

GREETS = os.environ.get("GREETS", "connect")
ANSWERS = os.environ.get("ANSWERS", "yes")
HANGS_UP_AFTER = int(os.environ.get("HANGS_UP_AFTER", "0"))
START_MS, THINK_MS, SPEAK_MS = (int(os.environ.get(name, "0")) for name in ("START_MS", "THINK_MS", "SPEAK_MS"))
GREETS_S = float(os.environ.get("GREETS_S", "0.8"))
YIELDS = os.environ.get("YIELDS") == "yes"
LOUD = 600
ENDPOINT_S = 0.2
RATE = 24_000


def tone(seconds: float, hertz: float = 440) -> TTSAudioRawFrame:
    wave = 6000 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)
    return TTSAudioRawFrame(audio=wave.astype(np.int16).tobytes(), sample_rate=RATE, num_channels=1)


class Talker(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self._last_loud: float | None = None
        self._answers = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame) and ANSWERS == "echo":
            await self.push_frame(TTSAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            return
        if isinstance(frame, InputAudioRawFrame):
            await self._hear(np.frombuffer(frame.audio, np.int16))
            return
        if isinstance(frame, InputDTMFFrame):
            await self.push_frame(tone(0.4, 600 + 100 * int(frame.button.value)))
            return
        await self.push_frame(frame, direction)

    async def _hear(self, samples: NDArray[np.int16]) -> None:
        now = time.monotonic()
        if int(np.abs(samples.astype(int)).max(initial=0)) > LOUD:
            if YIELDS and self._last_loud is None:
                await self.broadcast_interruption()  # type: ignore[no-untyped-call]
            self._last_loud = now
        elif self._last_loud is not None and now - self._last_loud > ENDPOINT_S:
            self._last_loud = None
            if ANSWERS == "yes":
                self.create_task(self._answer())

    async def _answer(self) -> None:
        self._answers += 1
        await self.push_frame(TranscriptionFrame(f"question {self._answers}", "caller", "now"))
        await asyncio.sleep(THINK_MS / 1000)
        await asyncio.sleep(SPEAK_MS / 1000)
        await self.say(f"answer {self._answers}", 0.6)
        if HANGS_UP_AFTER and self._answers >= HANGS_UP_AFTER:
            await self.push_frame(EndFrame())

    async def say(self, text: str, seconds: float) -> None:
        await self.push_frame(AggregatedTextFrame(text, "sentence"))
        await self.push_frame(tone(seconds))


def daily() -> TransportParams:
    from pipecat.transports.daily.transport import DailyParams

    return DailyParams(audio_in_enabled=True, audio_out_enabled=True)


TRANSPORTS = {
    "daily": daily,
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
    "websocket": lambda: FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
    ),
    **dict.fromkeys(
        ("twilio", "telnyx", "plivo", "exotel"),
        lambda: FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True),
    ),
}


async def bot(runner_args: RunnerArguments) -> None:
    await asyncio.sleep(START_MS / 1000)
    transport = await create_transport(runner_args, TRANSPORTS)
    talker = Talker()
    worker = PipelineWorker(
        Pipeline([transport.input(), talker, transport.output()]), params=PipelineParams(audio_out_sample_rate=RATE)
    )
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    async def greet(*_: object) -> None:
        await talker.say("hello I am a talker", GREETS_S)

    async def gone(*_: object) -> None:
        await runner.cancel()

    if GREETS == "connect":
        transport.add_event_handler("on_client_connected", greet)
    if GREETS == "ready":
        worker.rtvi.add_event_handler("on_client_ready", greet)
    transport.add_event_handler("on_client_disconnected", gone)
    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
