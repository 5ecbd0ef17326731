"""The same faults by other names."""

from functools import partial

import pipecat.frames.frames as frames
import pipecat.pipeline.worker as w
from pipecat.runner.utils import create_transport as make
from pipecat.transports.base_transport import TransportParams as Params
from pipecat.transports.websocket.fastapi import *

AUDIO = {
    "audio_in_enabled": True,
    "audio_out_enabled": True,
    "audio_out_10ms_chunks": 2,
    "vad_enabled": True,  # VD160
}
P = Params
VIDEO = dict(camera_out_width=640)  # VD160


def helper(more=None):
    params = P(**AUDIO)
    return params


async def bot(args):
    stop = frames.StartInterruptionFrame  # VD160
    pipeline = w.PipelineParams(allow_interruptions=True)  # VD160
    keys = {"webrtc": helper, "twilio": partial(FastAPIWebsocketParams, **AUDIO, **VIDEO, vad_analyzer=stop)}  # VD160
    return await make(args, transport_params=keys), pipeline
