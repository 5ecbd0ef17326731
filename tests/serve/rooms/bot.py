"""A bot in Pipecat's own style that hums when somebody comes; `body["do"]` says how it takes that they leave."""

import asyncio
import math
import struct

from loguru import logger
from pipecat.frames.frames import TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.workers.runner import WorkerRunner

RATE = 24000
HUM = b"".join(struct.pack("<h", int(12000 * math.sin(2 * math.pi * 440 * n / RATE))) for n in range(RATE * 30))


def daily() -> TransportParams:
    from pipecat.transports.daily.transport import DailyParams

    return DailyParams(audio_in_enabled=True, audio_out_enabled=True)


def livekit() -> TransportParams:
    from pipecat.transports.livekit.transport import LiveKitParams

    return LiveKitParams(audio_in_enabled=True, audio_out_enabled=True)


async def bot(runner_args: RunnerArguments) -> None:
    do = (runner_args.body or {}).get("do", "")
    transport = await create_transport(runner_args, {"daily": daily, "livekit": livekit})
    worker = PipelineWorker(Pipeline([transport.input(), transport.output()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
    async def connected(transport: BaseTransport, client: object) -> None:
        if do == "raise":
            await asyncio.to_thread(logger.error, "it is about to fail")
            await worker.cancel()
            return
        await worker.queue_frames([TTSAudioRawFrame(audio=HUM, sample_rate=RATE, num_channels=1)])

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def disconnected(transport: BaseTransport, client: object) -> None:
        logger.info("somebody left")
        if do == "":
            await runner.cancel()

    await runner.run()
    if do == "raise":
        raise RuntimeError("the bot gave up")
    if do == "notes":
        await asyncio.sleep(0.3)
        logger.info("notes are written")
