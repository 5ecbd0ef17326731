"""A bot in Pipecat's own style that says a tone; `body["do"]` makes it misbehave."""

import asyncio
import math
import os
import struct
import time

from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.workers.runner import WorkerRunner

RATE = 24000
AT_IMPORT = os.environ.get("GREETING", "none")
KEPT: list[bytearray] = []


def tone(seconds: float) -> bytes:
    samples = (int(12000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(int(RATE * seconds)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


async def bot(runner_args: RunnerArguments) -> None:
    do = (runner_args.body or {}).get("do", "")
    logger.info(f"session {runner_args.session_id} do={do!r} greeting={AT_IMPORT} ENV={os.environ.get('ENV')}")
    print("printed by the bot", flush=False)  # noqa: T201
    if do == "crash":
        raise RuntimeError("the bot gave up")
    if do == "block":
        time.sleep(600)  # noqa: ASYNC251
    while do == "stubborn":
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            logger.info("not now")
    if do == "leave":
        return
    transport = await create_transport(
        runner_args, {"webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True)}
    )
    user, assistant = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    worker = PipelineWorker(Pipeline([transport.input(), user, transport.output(), assistant]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
    async def connected(transport: BaseTransport, client: object) -> None:
        await worker.queue_frames([TTSAudioRawFrame(audio=tone(0.4), sample_rate=RATE, num_channels=1)])
        if do == "hog":
            try:
                while True:
                    KEPT.append(bytearray(16 << 20))
            except MemoryError:
                logger.info(f"no more memory after {len(KEPT) * 16} MiB")
                KEPT.clear()
                await runner.cancel()

    if do != "careless":

        @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
        async def disconnected(transport: BaseTransport, client: object) -> None:
            logger.info("the client has left")
            await runner.cancel()

    await runner.run()
    if do == "notes":
        await asyncio.sleep(3)
        logger.info("notes are written")


if __name__ == "__main__":
    raise SystemExit("the worker must not run this block")
