from pipecat.transports.base_transport import TransportParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

from .rates import RATE


def webrtc():
    return TransportParams(video_in_enabled=True)  # VD163


ALL = {
    "webrtc": webrtc,
    "websocket": lambda: FastAPIWebsocketParams(audio_in_enabled=True, audio_in_sample_rate=RATE),  # VD165
}
