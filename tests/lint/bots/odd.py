"""Python that nobody expects. Nothing of it can be known to be wrong: clean for webrtc."""

import importlib
import json as pipecat_json
import os
from functools import partial
from typing import TYPE_CHECKING

import pipecat.transports.base_transport as base
from pipecat.audio.vad.vad_analyzer import *
from pipecat.runner import utils

if TYPE_CHECKING:
    from pipecat.processors.aggregators.openai_llm_context import OpenAILLMContext

try:
    from pipecat.transports.services.daily import DailyParams
except ImportError:
    DailyParams = None

a = b = c = base
if os.getenv("X"):
    a = None
AUDIO = pipecat_json.loads(os.environ.get("AUDIO", "{}"))
BOTH = {"audio_in_enabled": True} | dict(audio_out_enabled=True, audio_out_10ms_chunks=2)
CHANGED = {"vad_enabled": True}
CHANGED.pop("vad_enabled")
loop = pool = None
loop = pool
pool = loop


class TransportParams:
    def __init__(self, vad_enabled=False): ...


def load_dotenv(override): ...


load_dotenv(override=True)
mine = TransportParams(vad_enabled=True)
unknown = base.TransportParams(**AUDIO)
changed = base.TransportParams(audio_in_enabled=True, **CHANGED)
spread = base.TransportParams(*[], **{**BOTH, **json_of()}) if False else None
module = importlib.import_module("pipecat.transports.network.fastapi_websocket")
params = VADParams(stop_secs=0.2)
walrus = (x := base.TransportParams)(**BOTH)


def json_of():
    return {os.getenv("KEY"): True}


def transport_params(**kwargs):
    return base.TransportParams(**kwargs)


def make(key):
    return {key: partial(base.TransportParams, **BOTH)}


async def bot(*args, **kwargs):
    runner_args = args[0]
    table = make("webrtc")
    table["webrtc"] = partial(base.TransportParams, **BOTH)
    transport = await utils.create_transport(runner_args, {**make(os.getenv("T")), **table})
    return [lambda: transport, runner_args.webrtc_connection, (yield)]
