"""A small real bot for the page's tests: listens by pocketsphinx, answers by a rule, speaks by flite. No network."""

import asyncio
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner
from pocketsphinx import Decoder

GREETING = "Hello, this is the front desk."
ANSWERS = {"light": "The light is on now. Is there anything else?", "door": "The door is open."}
GRAMMAR = """#JSGF V1.0;
grammar desk;
public <command> = [hello] [please] (open the door | turn on the light | open the door and turn on the light);
"""


class Ears(SegmentedSTTService):
    wants_wav_segments = property(lambda self: False)

    def __init__(self) -> None:
        super().__init__(
            settings=STTSettings(model="en-us", language=None), sample_rate=16000, ttfs_p99_latency=0.3
        )
        self._decoder = Decoder(samprate=16000, lm=None)
        self._decoder.add_jsgf_string("desk", GRAMMAR)
        self._decoder.activate_search("desk")

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        self._decoder.start_utt()
        for at in range(0, len(audio), 640):
            self._decoder.process_raw(audio[at : at + 640])
            await asyncio.sleep(0)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        if heard is not None:
            yield TranscriptionFrame(heard.hypstr, "caller", time_now_iso8601())


class Rules(LLMService):
    def __init__(self) -> None:
        unset = (
            "system_instruction temperature max_tokens top_p top_k frequency_penalty presence_penalty seed "
            "user_turn_completion_config"
        )
        super().__init__(
            settings=LLMSettings(
                model="rules", filter_incomplete_user_turns=False, **dict.fromkeys(unset.split())
            )
        )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        said = [m["content"] for m in frame.context.get_messages() if m["role"] == "user"]
        answer = GREETING
        if said:
            answer = next((text for word, text in ANSWERS.items() if word in str(said[-1])), "Sorry?")
        await self.push_frame(LLMFullResponseStartFrame())
        await self._push_llm_text(answer)
        await self.push_frame(LLMFullResponseEndFrame())


class Mouth(TTSService):
    def __init__(self) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice="slt", language=None),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        with TemporaryDirectory() as folder:
            file = Path(folder, "speech.wav")
            flite = await asyncio.create_subprocess_exec("flite", "-voice", "slt", "-t", text, "-o", str(file))
            await flite.wait()
            with wave.open(str(file)) as speech:
                yield TTSAudioRawFrame(
                    speech.readframes(speech.getnframes()), speech.getframerate(), 1, context_id=context_id
                )


async def bot(runner_args: RunnerArguments) -> None:
    transport = await create_transport(
        runner_args, {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)}
    )
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), Ears(), user, Rules(), Mouth(), transport.output(), assistant]),
        params=PipelineParams(enable_metrics=True),
        idle_timeout_secs=60,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")
    async def greet(transport: object, client: object) -> None:
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def leave(transport: object, client: object) -> None:
        await runner.cancel()

    await runner.run()
