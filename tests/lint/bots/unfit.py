"""The keys are there, the parameters are not what they need."""

from pipecat.runner.utils import create_transport
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

SOUND = {"audio_in_enabled": True, "audio_out_enabled": True, "audio_out_10ms_chunks": 2}


async def bot(runner_args):
    return await create_transport(runner_args, {
        "daily": lambda: TransportParams(**SOUND),
        "twilio": lambda: TransportParams(**SOUND),
        "websocket": lambda: FastAPIWebsocketParams(**SOUND),
        "webrtc": lambda: FastAPIWebsocketParams(**SOUND),
        "livekit": lambda: TransportParams(audio_in_enabled=False, audio_out_enabled=False),
    })
