"""Single rules, each in a file as small as it can be."""

from pathlib import Path

import pytest

from voicedeploy.lint import Fault, lint
from voicedeploy.network import Transport

HEAD = """\
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.runner.utils import create_transport
from pipecat.services.stt_service import SegmentedSTTService, STTService, WebsocketSTTService
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
ON = {"audio_in_enabled": True, "audio_out_enabled": True, "audio_out_10ms_chunks": 2}
"""


def said(tmp_path: Path, code: str, kind: Transport = Transport.WEBRTC) -> list[Fault]:
    (tmp_path / "bot.py").write_text(HEAD + code + "\n", "utf-8")
    return list(lint(tmp_path, "bot.py", kind))


def codes(tmp_path: Path, code: str, kind: Transport = Transport.WEBRTC) -> list[str]:
    return [fault.code for fault in said(tmp_path, code, kind)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("PipelineParams(audio_in_sample_rate=24000)\nSileroVADAnalyzer()", ["VD164"]),
        ("PipelineParams(audio_in_sample_rate=24000)", []),
        ("PipelineParams(audio_in_sample_rate=16000)\nSileroVADAnalyzer()", []),
        ("RATE = 8000\nPipelineParams(audio_in_sample_rate=RATE)", ["VD165"]),
        ("TransportParams(**ON, audio_in_sample_rate=8000)", ["VD165"]),
        ("TransportParams(**ON, audio_in_sample_rate=48000)", ["VD165"]),
        ("TransportParams(**ON, audio_in_sample_rate=16000)", []),
        ("TransportParams(**ON, audio_in_sample_rate=int('8'))", []),
        ("PipelineParams(audio_in_sample_rate=24000)\nTransportParams(**ON, audio_in_sample_rate=24000)", []),
        ("TransportParams(**ON, audio_out_sample_rate=8000)", []),
    ],
)
def test_rates(code: str, expected: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, code) == expected


_RUN = "\n    async def run_stt(self, audio): yield None"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (f"class S(STTService):{_RUN}\nS()", ["VD166"]),
        (f"class S(WebsocketSTTService):{_RUN}\nS(sample_rate=16000)", ["VD166"]),
        (f"class S(STTService):{_RUN}\nclass T(S): ...\nT()", ["VD166"]),
        (f"class S(STTService):{_RUN}\nS(ttfs_p99_latency=0.3)", []),
        (f"class S(STTService):\n    def __init__(self): super().__init__(ttfs_p99_latency=0.3){_RUN}\nS()", []),
        (f"class S(STTService):\n    def __init__(self): super().__init__(sample_rate=8000){_RUN}\nS()", ["VD166"]),
        (f"class S(STTService):\n    def __init__(self, **kw): super().__init__(**kw){_RUN}\nS(**unknown)", []),
        (f"class S(STTService):\n    @property\n    def supports_ttfs(self): return False{_RUN}\nS()", []),
        (f"class S(SegmentedSTTService):{_RUN}\nS()", []),
        ("class S(STTService):\n    async def run_stt(self, a): yield Frame(finalized=True)\nS()", []),
        ("from pipecat.services.deepgram.stt import DeepgramSTTService\nDeepgramSTTService(api_key='k')", []),
        ("from pipecat.services.whisper.stt import WhisperSTTService\nWhisperSTTService()", []),
    ],
)
def test_speech_to_text_that_does_not_say_when_it_has_finished(code: str, expected: list[str], tmp_path: Path) -> None:
    found = said(tmp_path, code)
    assert [fault.code for fault in found] == expected
    assert all(fault.cost_ms == 750 and "0.75 s" in fault.message for fault in found)


@pytest.mark.parametrize(
    ("code", "cost"),
    [
        ("VADParams(stop_secs=0.8)", 600),
        ("VADParams(stop_secs=0.2)", 0),
        ("VADParams(stop_secs=0.3)", 0),
        ("VADParams()", 0),
        ("SpeechTimeoutUserTurnStopStrategy()", 600),
        ("SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=1.2)", 1200),
        ("SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.1)", 0),
        ("TransportParams(audio_in_enabled=True, audio_out_enabled=True)", 20),
        ("TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=6)", 40),
        ("TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=1)", 0),
        ("TransportParams(audio_in_enabled=True)", 0),
    ],
)
def test_the_price_of_a_setting(code: str, cost: int, tmp_path: Path) -> None:
    found = said(tmp_path, code)
    assert [(fault.code, fault.severity, fault.cost_ms) for fault in found] == (
        [("VD167", "warning", cost)] if cost else []
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import pipecat.runner.run", ["VD168"]),
        ("from pipecat.runner.run import main", ["VD168"]),
        ("from pipecat.runner import run", ["VD168"]),
        ("if __name__ == '__main__':\n    from pipecat.runner.run import main\n    main()", []),
        ("def main():\n    from pipecat.runner.run import main", []),
        ("from dotenv import load_dotenv\nload_dotenv(override=True)", ["VD168"]),
        ("import dotenv as d\nd.load_dotenv(override=True)", ["VD168"]),
        ("from dotenv import load_dotenv\nload_dotenv()", []),
        ("from dotenv import load_dotenv\nif __name__ == '__main__':\n    load_dotenv(override=True)", []),
    ],
)
def test_what_an_import_does_to_the_environment(code: str, expected: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("LLMContextAggregatorPair(None)", ["VD169"]),
        ("LLMContextAggregatorPair(None, user_params=LLMUserAggregatorParams())", ["VD169"]),
        ("LLMContextAggregatorPair(None, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()))", []),
        ("p = LLMUserAggregatorParams()\np.vad_analyzer = vad\nLLMContextAggregatorPair(None, user_params=p)", []),
        ("LLMContextAggregatorPair(None, **given)", []),
        ("from pipecat.processors.audio.vad_processor import VADProcessor\nVADProcessor(vad_analyzer=None)\n"
         "LLMContextAggregatorPair(None)", []),
        ("from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService\nDeepgramFluxSTTService(api_key='k')\n"
         "LLMContextAggregatorPair(None)", []),
        ("from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService as Llm\nLlm(api_key='k')\n"
         "LLMContextAggregatorPair(None)", []),
    ],
)  # fmt: skip
def test_nothing_listens_for_pauses(code: str, expected: list[str], tmp_path: Path) -> None:
    assert codes(tmp_path, code) == expected


READS = "    print(runner_args.webrtc_connection)\n"
TYPES = "from pipecat.runner.types import *\nimport pipecat.runner.types as t\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (READS, True),
        ("    x = {'a': [runner_args.webrtc_connection]}\n", True),
        ("    with open('x') as f:\n    " + READS, True),
        ("    await help(runner_args)\nasync def help(args):\n    args.webrtc_connection\n", True),
        ("    await help(args=runner_args)\nasync def help(*, args):\n    args.webrtc_connection\n", True),
        ("    if isinstance(runner_args, DailyRunnerArguments):\n    " + READS, True),
        ("    if isinstance(runner_args, SmallWebRTCRunnerArguments):\n    " + READS, False),
        ("    if isinstance(runner_args, t.SmallWebRTCRunnerArguments):\n    " + READS, False),
        ("    if isinstance(runner_args, (SmallWebRTCRunnerArguments, DailyRunnerArguments)):\n    " + READS, True),
        ("    if isinstance(runner_args, LiveKitRunnerArguments): pass\n    else:\n    " + READS, True),
        ("    if not isinstance(runner_args, SmallWebRTCRunnerArguments):\n        return\n" + READS, False),
        ("    if not isinstance(runner_args, SmallWebRTCRunnerArguments):\n        raise ValueError\n" + READS, False),
        ("    assert isinstance(runner_args, SmallWebRTCRunnerArguments)\n" + READS, False),
        ("    if hasattr(runner_args, 'webrtc_connection'):\n    " + READS, False),
        ("    if type(runner_args) is SmallWebRTCRunnerArguments:\n    " + READS, False),
        ("    if runner_args.body.get('webrtc'):\n    " + READS, False),
        ("    hasattr(runner_args, 'webrtc_connection') and runner_args.webrtc_connection\n", False),
        ("    x = runner_args.webrtc_connection if hasattr(runner_args, 'webrtc_connection') else None\n", False),
        ("    getattr(runner_args, 'webrtc_connection', None)\n", False),
        ("    try:\n    " + READS + "    except AttributeError: pass\n", False),
        ("    try:\n    " + READS + "    finally: pass\n", True),
        ("    match runner_args:\n        case SmallWebRTCRunnerArguments():\n        " + READS, False),
        ("    match runner_args:\n        case DailyRunnerArguments():\n        " + READS, True),
        (
            "    match runner_args:\n        case t.LiveKitRunnerArguments(): pass\n        case _:\n        " + READS,
            True,
        ),
        ("    later = lambda: runner_args.webrtc_connection\n", False),
        ("    for x in []:\n    " + READS, False),
        ("    runner_args.session_id, runner_args.body, runner_args.room_url, runner_args.token\n", False),
        ("    runner_args.of_my_own\n", False),
    ],
)
def test_what_is_read_in_every_call(body: str, found: bool, tmp_path: Path) -> None:
    code = f"{TYPES}async def bot(runner_args):\n{body}"
    assert codes(tmp_path, code, Transport.DAILY) == (["VD210"] if found else [])


def test_each_transport_s_own_fields(tmp_path: Path) -> None:
    owners = {
        "webrtc_connection": {"webrtc"},
        "room_url": {"daily"},
        "room_name": {"livekit"},
        "url": {"livekit"},
        "token": {"daily", "livekit"},
        "websocket": {"websocket", "twilio", "telnyx", "plivo", "exotel"},
        "transport_type": {"websocket", "twilio", "telnyx", "plivo", "exotel"},
    }
    for name, kinds in owners.items():
        code = f"async def bot(args):\n    args.{name}\n"
        assert {kind.value for kind in Transport if not codes(tmp_path, code, kind)} == kinds


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ('{"webrtc": w}', True),
        ('{**{"webrtc": w}}', True),
        ('dict(webrtc=w)', True),
        ('{"webrtc": w} | {"exotel": w}', True),
        ("TABLE", True),
        ("table()", True),
        ("{**unknown}", False),
        ("unknown", False),
        ("{key(): w}", False),
        ("CHANGED", False),
    ],
)  # fmt: skip
def test_only_a_dictionary_that_is_known_lacks_a_key(given: str, complete: bool, tmp_path: Path) -> None:
    code = (
        'def w(): ...\nTABLE = {"webrtc": w}\ndef table(): return {"webrtc": w}\n'
        'CHANGED = {"webrtc": w}\nCHANGED["daily"] = w\n'
        f"async def bot(args):\n    await create_transport(args, {given})\n"
    )
    assert codes(tmp_path, code, Transport.DAILY) == (["VD211"] if complete else [])
