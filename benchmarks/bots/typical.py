"""A bot as most are: Silero, Pipecat's default turn detection, a greeting at connect. Its services take no time.

What is left is what every bot pays: connecting, voice detection, Smart Turn, the pipeline, codecs, RTP.
`RTVI=off` in the environment leaves Pipecat's events for clients out.
"""

import os
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

RATE = 24_000
SECONDS_PER_WORD = 0.3
GREETING = "hello there"
ANSWER = "this answer has ten words and so takes three seconds"


class Ear(STTService):
    """Knows what was said the moment it was said."""

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=0.3, settings=STTSettings(model=None, language=None))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            await self.push_frame(TranscriptionFrame("words", "caller", time_now_iso8601(), finalized=True))

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None


class Brain(LLMService):
    def __init__(self) -> None:
        unset: dict[str, Any] = dict.fromkeys(
            (
                "system_instruction",
                "temperature",
                "max_tokens",
                "top_p",
                "top_k",
                "frequency_penalty",
                "presence_penalty",
                "seed",
                "user_turn_completion_config",
            )
        )
        super().__init__(
            settings=LLMSettings(
                model="none", filter_incomplete_user_turns=False, use_provider_thinking_default=False, **unset
            )
        )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self._push_llm_text(ANSWER + ".")
        await self.push_frame(LLMFullResponseEndFrame())


class Voice(TTSService):
    """A tone for each word, ten pieces a second as a hosted service sends them."""

    def __init__(self) -> None:
        super().__init__(
            sample_rate=RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice="tone", language=None),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        samples = np.arange(round(len(text.split()) * SECONDS_PER_WORD * RATE)) / RATE
        sound = (9000 * np.sin(2 * np.pi * 330 * samples)).astype(np.int16).tobytes()
        for at in range(0, len(sound), RATE // 10 * 2):
            yield TTSAudioRawFrame(sound[at : at + RATE // 10 * 2], RATE, 1, context_id=context_id)


async def bot(runner_args: RunnerArguments) -> None:
    transport = await create_transport(
        runner_args, {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)}
    )
    user, assistant = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), Ear(), user, Brain(), Voice(), transport.output(), assistant]),
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        enable_rtvi=os.environ.get("RTVI") != "off",
    )
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)

    @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
    async def greet(_transport: BaseTransport, _client: object) -> None:
        await worker.queue_frames([TTSSpeakFrame(GREETING)])

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def leave(_transport: BaseTransport, _client: object) -> None:
        await runner.cancel()

    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
