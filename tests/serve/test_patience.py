"""A line on which nobody says a word for longer than proxies, carriers' gateways and Pipecat's own default wait."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.serve.conftest import running
from tests.serve.test_sockets import SILENCE, begin, config, phone
from voicedeploy.serve.nursery import WORKER

pytestmark = [pytest.mark.lab, pytest.mark.alone]

# Pipecat gives a pipeline up after 300 s without speech.
SILENT_S = 365

BOT = """
from pipecat.frames.frames import InputDTMFFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import create_transport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner


class Key(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputDTMFFrame):
            frame = TTSAudioRawFrame(audio=bytes([0, 64]) * 24000, sample_rate=24000, num_channels=1)
        await self.push_frame(frame, direction)


async def bot(runner_args):
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True)
    transport = await create_transport(runner_args, {"twilio": lambda: params})
    worker = PipelineWorker(
        Pipeline([transport.input(), Key(), transport.output()]),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def gone(transport, client):
        await runner.cancel()

    await runner.run()
"""


@pytest.mark.timeout(SILENT_S + 60)
async def test_silent_for_six_minutes_and_still_connected(folder: Path) -> None:
    file = config(folder)
    (folder / "project" / "bot.py").write_text(BOT)
    async with running(file, worker=WORKER, forks=False) as front:
        quiet, mute = await begin(front), await begin(front)
        async with phone(quiet[1]) as sends_silence, phone(mute[1], "CA2") as sends_nothing:
            media = json.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": SILENCE}})
            for _ in range(SILENT_S):
                await sends_silence.send(media)
                await asyncio.sleep(1)
            for socket in (sends_silence, sends_nothing):
                await socket.send(json.dumps({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "5"}}))
                async with asyncio.timeout(10):
                    while json.loads(await socket.recv())["event"] != "media":
                        continue
            assert len((await front.status())["sessions"]) == 2
        for id, _ in (quiet, mute):
            assert (await front.ended(id))["reason"] == "client-left"
