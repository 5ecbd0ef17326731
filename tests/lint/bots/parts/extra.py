from pipecat.transports.network.webrtc_connection import SmallWebRTCConnection  # VD160
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy

import services

strategy = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.8)  # VD167
SECONDS = services and SmallWebRTCConnection
