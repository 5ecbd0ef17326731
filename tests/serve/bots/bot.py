"""A bot in Pipecat's own style that hums; `body["do"]` makes it misbehave a moment after its client connected."""

import asyncio
import ctypes
import os
import subprocess

import numpy as np
from loguru import logger
from pipecat.frames.frames import TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

RATE = 24000
HUM = (12000 * np.sin(2 * np.pi * 440 * np.arange(RATE * 30) / RATE)).astype("<i2").tobytes()
KEPT: list[bytes] = []


async def misbehave(do: str) -> None:
    await asyncio.sleep(0.5)
    match do:
        case "raise":
            raise RuntimeError("the bot gave up")
        case "segfault":
            ctypes.string_at(0)
        case "hog":
            for _ in range(200):
                KEPT.append(os.urandom(4 << 20))
                await asyncio.sleep(0.02)
        case "child":
            logger.info(f"it has started {subprocess.Popen(['sleep', '600']).pid}")  # noqa: ASYNC220


async def bot(runner_args: RunnerArguments) -> None:
    do = (runner_args.body or {}).get("do", "")
    phone = {
        carrier: lambda: FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True)
        for carrier in ("twilio", "telnyx", "plivo", "exotel")
    }
    transport = await create_transport(
        runner_args,
        {
            "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
            "websocket": lambda: FastAPIWebsocketParams(
                audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
            ),
            **phone,
        },
    )
    worker = PipelineWorker(Pipeline([transport.input(), transport.output()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    trouble = asyncio.Event()

    @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
    async def connected(transport: BaseTransport, client: object) -> None:
        await worker.queue_frames([TTSAudioRawFrame(audio=HUM, sample_rate=RATE, num_channels=1)])
        trouble.set()

    if do not in ("careless", "stubborn"):

        @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
        async def disconnected(transport: BaseTransport, client: object) -> None:
            await runner.cancel()

    if do in ("", "careless"):
        await runner.run()
        return
    running = asyncio.create_task(runner.run())
    await trouble.wait()
    await misbehave(do)
    while do == "stubborn":
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            logger.info("not now")
    await running
