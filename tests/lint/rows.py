"""What Pipecat renamed, removed or deprecated, a row each: a line of a bot that has it, and what the lint calls it.

`real` is what the installed Pipecat itself does with the line: `fails` by an ImportError, AttributeError or TypeError,
`drops` the keyword without a word, `warns` by a DeprecationWarning, `says nothing`.
"""

from dataclasses import dataclass
from typing import Literal

Real = Literal["fails", "drops", "warns", "says nothing"]


@dataclass(frozen=True)
class Row:
    name: str
    line: str
    code: str
    real: Real
    before: str = ""


_TRANSPORT = "from pipecat.transports.base_transport import TransportParams"
_FASTAPI = "from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams"
_DAILY = "from pipecat.transports.daily.transport import DailyParams"
_WORKER = "from pipecat.pipeline.worker import PipelineParams"
_ON = "audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2"


def _fails(name: str, line: str, before: str = "") -> Row:
    return Row(name, line, "VD160", "fails", before)


def _warns(name: str, line: str, before: str = "") -> Row:
    return Row(name, line, "VD162", "warns", before)


# Keywords that the family of TransportParams had.
KEYWORDS = {
    "vad_enabled": "True", "vad_audio_passthrough": "True", "vad_analyzer": "None", "turn_analyzer": "None",
    "camera_in_enabled": "True", "camera_out_enabled": "True", "camera_out_is_live": "True", "camera_out_width": "640",
    "camera_out_height": "480", "camera_out_bitrate": "800000", "camera_out_framerate": "15",
    "camera_out_color_format": '"RGB"', "transcription_enabled": "True",
}  # fmt: skip
# Extras are not needed to know what DailyParams has: these two it has.
_DAILY_HAS = {"camera_out_enabled", "transcription_enabled"}

ROWS = [
    *(Row(f"TransportParams {k}", f"TransportParams({_ON}, {k}={v})", "VD160", "drops", _TRANSPORT)
      for k, v in KEYWORDS.items()),
    *(Row(f"FastAPIWebsocketParams {k}", f"FastAPIWebsocketParams({_ON}, {k}={v})", "VD160", "drops", _FASTAPI)
      for k, v in KEYWORDS.items()),
    *(Row(f"PipelineParams {k}", f"PipelineParams({k}={v})", "VD160", "drops", _WORKER)
      for k, v in {"allow_interruptions": "True", "interruption_strategies": "[]", "observers": "[]"}.items()),
    Row("a slip", f"TransportParams({_ON}, audio_in_enable=True)", "VD160", "drops", _TRANSPORT),
    Row("VADParams", "VADParams(stop_sec=0.2)", "VD160", "drops",
        "from pipecat.audio.vad.vad_analyzer import VADParams"),
    Row("SmartTurnParams", "SmartTurnParams(max_duration=8)", "VD160", "drops",
        "from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams"),
    Row("InputParams", "TwilioFrameSerializer.InputParams(hang_up=True)", "VD160", "drops",
        "from pipecat.serializers.twilio import TwilioFrameSerializer"),
    # The aggregator's parameters and settings of services are dataclasses, and do raise.
    _fails("LLMUserAggregatorParams", "LLMUserAggregatorParams(turn_analyzer=None)",
           "from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams"),
    _fails("Settings", 'OpenAILLMService.Settings(models="gpt-4.1")',
           "from pipecat.services.openai.llm import OpenAILLMService"),
    _fails("observers elsewhere", "WorkerRunner(observers=[])", "from pipecat.workers.runner import WorkerRunner"),
    _fails("PipelineWorker", "PipelineWorker(None, allow_interruptions=True)",
           "from pipecat.pipeline.worker import PipelineWorker"),
    # Modules and names that are gone.
    _fails("OpenAILLMContext", "from pipecat.processors.aggregators.openai_llm_context import OpenAILLMContext"),
    *(_fails(module, f"from pipecat.transports.{module} import {name}") for module, name in {
        "services.daily": "DailyTransport", "services.livekit": "LiveKitTransport",
        "services.helpers.daily_rest": "DailyRESTHelper", "network.fastapi_websocket": "FastAPIWebsocketParams",
        "network.small_webrtc": "SmallWebRTCTransport", "network.webrtc_connection": "SmallWebRTCConnection",
        "network.websocket_server": "WebsocketServerParams"}.items()),
    _fails("import of a module", "import pipecat.transports.services.daily as daily"),
    _fails("a module of a package", "from pipecat.transports import services"),
    _fails("openai.OpenAILLMService", "from pipecat.services.openai import OpenAILLMService"),
    _fails("deepgram.DeepgramSTTService", "from pipecat.services.deepgram import DeepgramSTTService"),
    _fails("StartInterruptionFrame", "from pipecat.frames.frames import StartInterruptionFrame"),
    _fails("frames.StartInterruptionFrame", "frames.StartInterruptionFrame", "from pipecat.frames import frames"),
    _fails("LLMMessagesFrame", "from pipecat.frames.frames import LLMMessagesFrame"),
    _fails("UserIdleProcessor", "from pipecat.processors.user_idle_processor import UserIdleProcessor"),
    _fails("STTMuteFilter", "from pipecat.processors.filters.stt_mute_filter import STTMuteFilter"),
    _fails("TranscriptProcessor", "from pipecat.processors.transcript_processor import TranscriptProcessor"),
    _fails("MinWordsInterruptionStrategy", "from pipecat.audio.interruptions.min_words_interruption_strategy "
           "import MinWordsInterruptionStrategy"),
    _fails("PipecatRunnerArguments", "from pipecat.runner.types import PipecatRunnerArguments"),
    _fails("create_context_aggregator", 'OpenAILLMService(api_key="key").create_context_aggregator(None)',
           "from pipecat.services.openai.llm import OpenAILLMService"),
    # What still works.
    _warns("PipelineTask", "PipelineTask(Pipeline([]))",
           "from pipecat.pipeline.pipeline import Pipeline\nfrom pipecat.pipeline.worker import PipelineTask"),
    Row("pipeline.task", "from pipecat.pipeline.task import PipelineParams", "VD162", "says nothing"),
    _warns("PipelineRunner", "PipelineRunner()", "from pipecat.pipeline.runner import PipelineRunner"),
    *(_warns(name, f"{name}()", f"from pipecat.frames.frames import {name}")
      for name in ("EndTaskFrame", "CancelTaskFrame", "StopTaskFrame", "InterruptionTaskFrame")),
    _warns("frames.EndTaskFrame", "frames.EndTaskFrame()", "from pipecat.frames import frames"),
    _warns("MarkdownTextFilter", "MarkdownTextFilter()",
           "from pipecat.utils.text.markdown_text_filter import MarkdownTextFilter"),
    *(_warns(name, f"{call}", f"from pipecat.runner.utils import {name}") for name, call in {
        "get_transport_client_id": "get_transport_client_id(None, None)",
        "maybe_capture_participant_camera": "maybe_capture_participant_camera(None, None)",
        "maybe_capture_participant_screen": "maybe_capture_participant_screen(None, None)"}.items()),
    _warns("LLM model=", 'OpenAILLMService(api_key="key", model="gpt-4.1")',
           "from pipecat.services.openai.llm import OpenAILLMService"),
    _warns("LLM params=", 'OpenAILLMService(api_key="key", params=OpenAILLMService.InputParams())',
           "from pipecat.services.openai.llm import OpenAILLMService"),
    _warns("text_filters=", "Tts(text_filters=[None])", "from pipecat.services.tts_service import TTSService\n"
           "class Tts(TTSService):\n    async def run_tts(self, text, context_id): ..."),
    _warns("chronological_events", "breakdown.chronological_events()",
           "from pipecat.observers.user_bot_latency_observer import LatencyBreakdown\n"
           "breakdown = LatencyBreakdown.model_construct()"),
    Row("EvalTransport", "from pipecat.evals.transport import EvalTransport", "VD162", "says nothing"),
    _warns("run(worker)", "runner.run(object())",
           "from pipecat.workers.runner import WorkerRunner\nrunner = WorkerRunner(handle_sigint=False)"),
    Row("setup_pipeline_task", "async def setup_pipeline_task(task): ...", "VD162", "says nothing"),
    Row("video_out_bitrate", f"TransportParams({_ON}, video_out_bitrate=800000)", "VD162", "says nothing", _TRANSPORT),
]  # fmt: skip

# What the extras bring that are not installed here.
UNTRIED = [
    Row(f"DailyParams {k}", f"DailyParams({_ON}, {k}={v})", "VD160", "drops", _DAILY)
    for k, v in KEYWORDS.items()
    if k not in _DAILY_HAS
]
FINE = [
    Row(f"DailyParams {k}", f"DailyParams({_ON}, {k}=True)", "", "says nothing", _DAILY) for k in sorted(_DAILY_HAS)
]
