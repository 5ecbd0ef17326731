"""Makes its transports itself, each for its own calls. Clean for webrtc, daily and twilio."""

from pipecat.runner.types import (
    DailyRunnerArguments,
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.transports.base_transport import BaseTransport, TransportParams


async def run(transport: BaseTransport) -> None: ...


def describe(args: RunnerArguments) -> str:
    if hasattr(args, "room_url"):
        return args.room_url
    return getattr(args, "token", "")


async def bot(runner_args: RunnerArguments):
    print(describe(runner_args), isinstance(runner_args, DailyRunnerArguments) and runner_args.token)
    room = runner_args.room_url if isinstance(runner_args, DailyRunnerArguments) else None
    try:
        print(runner_args.webrtc_connection.pc_id)
    except AttributeError:
        pass
    match runner_args:
        case SmallWebRTCRunnerArguments():
            from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

            transport = SmallWebRTCTransport(
                webrtc_connection=runner_args.webrtc_connection,
                params=TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2),
            )
        case DailyRunnerArguments(room_url=url):
            from pipecat.transports.daily.transport import DailyParams, DailyTransport

            params = DailyParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2)
            transport = DailyTransport(url or room, runner_args.token, "bot", params)
        case WebSocketRunnerArguments() as args:
            from pipecat.runner.utils import create_transport
            from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

            transport = await create_transport(
                args,
                {"twilio": lambda: FastAPIWebsocketParams(
                    audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2)},
            )
        case _:
            raise ValueError(runner_args.session_id)
    await run(transport)
