"""What is spoken over WebSockets, by Pipecat's own key of the transport. A further one is one more row."""

from collections.abc import Callable

from voicedeploy.call.lines.socket.exotel import Exotel
from voicedeploy.call.lines.socket.plain import Plain
from voicedeploy.call.lines.socket.plivo import Plivo
from voicedeploy.call.lines.socket.telnyx import Telnyx
from voicedeploy.call.lines.socket.twilio import Twilio
from voicedeploy.call.lines.socket.wire import Wire

WIRES: dict[str, Callable[[], Wire]] = {
    "websocket": Plain,
    "twilio": Twilio,
    "telnyx": Telnyx,
    "plivo": Plivo,
    "exotel": Exotel,
}
