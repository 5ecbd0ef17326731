"""Reads what only calls by webrtc have."""

from pipecat.runner.types import RunnerArguments
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport


async def run(transport, args: RunnerArguments):
    print(args.session_id)


async def bot(runner_args: RunnerArguments):
    """Called for each call."""
    connection = runner_args.webrtc_connection
    transport = SmallWebRTCTransport(
        webrtc_connection=connection,
        params=TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=2,
        ),
    )

    await run(transport, runner_args)
