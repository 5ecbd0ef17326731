"""A bot of 2025, moved to Pipecat 1.14 without a look."""

import os

from dotenv import load_dotenv
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner  # VD162
from pipecat.pipeline.task import PipelineParams, PipelineTask  # VD162
from pipecat.processors.aggregators.openai_llm_context import OpenAILLMContext  # VD160
from pipecat.runner.run import main  # VD168
from pipecat.runner.utils import create_transport, maybe_capture_participant_camera  # VD162
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.openai import OpenAILLMService  # VD160
from pipecat.services.openai.llm import OpenAILLMService as Llm
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.services.daily import DailyParams, DailyTransport  # VD160

load_dotenv(override=True)  # VD168

transport_params = {
    "webrtc": lambda: TransportParams(  # VD167
        audio_in_enabled=True,
        audio_out_enabled=True,
        vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=0.8)),  # VD160 VD167
        vad_audio_passthrough=True,  # VD160
        camera_in_enabled=True,  # VD160
    ),
}


async def bot(runner_args):
    transport = await create_transport(runner_args, transport_params)
    llm = Llm(
        api_key=os.environ["OPENAI_API_KEY"],
        model="gpt-4o",  # VD162
    )
    tts = CartesiaTTSService(
        api_key=os.environ["CARTESIA_API_KEY"],
        voice_id="voice",  # VD162
    )
    context = OpenAILLMContext([])
    pair = llm.create_context_aggregator(context)  # VD160
    task = PipelineTask(
        Pipeline([transport.input(), pair.user(), llm, tts, transport.output(), pair.assistant()]),
        params=PipelineParams(
            enable_metrics=True,
            allow_interruptions=True,  # VD160
            observers=[],  # VD160
            audio_in_sample_rate=8000,  # VD165
        ),
    )

    @transport.event_handler("on_client_connected")
    async def connected(transport, client):
        await maybe_capture_participant_camera(transport, client)

    runner = PipelineRunner()
    await runner.run(task)  # VD162
