"""The ways to a bot. What one needs is imported when it is taken: WebRTC's stack alone takes 0.2 s."""

from voicedeploy.call.callee import Callee
from voicedeploy.call.lines.line import Line, Moments, Said
from voicedeploy.call.options import CallOptions
from voicedeploy.call.run import Failure
from voicedeploy.call.signalling import CallFailed

__all__ = ["Line", "Moments", "Said", "open_line"]


def open_line(transport: str, target: Callee, options: CallOptions) -> Line:
    """By Pipecat's own key of the transport. Raises CallFailed for one that nobody here can speak."""
    if transport == "webrtc":
        from voicedeploy.call.lines.webrtc import WebRtc

        return WebRtc(target, options)
    from voicedeploy.call.lines.socket import SocketLine
    from voicedeploy.call.lines.socket.wires import WIRES

    if transport in WIRES:
        return SocketLine(target, options, WIRES[transport]())
    raise CallFailed(
        Failure(
            "signalling",
            f"the bot is called over `{transport}`, which this caller does not speak",
            f"it speaks {', '.join(('webrtc', *WIRES))}: choose one with --transport, "
            f"or try the bot with a client of `{transport}`",
        )
    )
