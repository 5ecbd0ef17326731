"""What the patch puts under `isinstance` is not all that stands there."""

from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport


async def run(transport, params): ...


async def bot(runner_args: RunnerArguments):
    connection: SmallWebRTCConnection = runner_args.webrtc_connection

    # Used below too.
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2)
    transport = SmallWebRTCTransport(
        # the call's own
        webrtc_connection=connection,
        params=params,
    )  # and no more

    await run(transport, params)
