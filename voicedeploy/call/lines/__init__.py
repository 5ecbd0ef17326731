"""The ways to a bot, one for each of Pipecat's transports."""

from collections.abc import Callable

from voicedeploy.call.callee import Callee
from voicedeploy.call.lines.line import Line, Moments, Said
from voicedeploy.call.lines.socket import over
from voicedeploy.call.lines.socket.exotel import Exotel
from voicedeploy.call.lines.socket.plain import Plain
from voicedeploy.call.lines.socket.plivo import Plivo
from voicedeploy.call.lines.socket.telnyx import Telnyx
from voicedeploy.call.lines.socket.twilio import Twilio
from voicedeploy.call.lines.webrtc import WebRtc
from voicedeploy.call.options import CallOptions
from voicedeploy.call.run import Failure
from voicedeploy.call.signalling import CallFailed

__all__ = ["LINES", "Line", "Moments", "Said", "open_line"]

LINES: dict[str, Callable[[Callee, CallOptions], Line]] = {
    "webrtc": WebRtc,
    "websocket": over(Plain),
    "twilio": over(Twilio),
    "telnyx": over(Telnyx),
    "plivo": over(Plivo),
    "exotel": over(Exotel),
}
"""By Pipecat's own key. A further transport is one more row: a class with what `Line` asks for."""


def open_line(transport: str, target: Callee, options: CallOptions) -> Line:
    """Raises CallFailed for a transport that nobody here can speak."""
    if transport in LINES:
        return LINES[transport](target, options)
    raise CallFailed(
        Failure(
            "signalling",
            f"the bot is called over `{transport}`, which this caller does not speak",
            f"it speaks {', '.join(LINES)}: choose one with --transport, or try the bot with a client of `{transport}`",
        )
    )
