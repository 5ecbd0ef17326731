"""Hands the arguments on, and reads there what only calls by Daily have."""

from pipecat.runner.types import DailyRunnerArguments
from pipecat.transports.daily.transport import DailyParams, DailyTransport


async def talk(args: DailyRunnerArguments):
    transport = DailyTransport(args.room_url, args.token, "bot", DailyParams(
        audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2))
    return transport


async def bot(runner_args: DailyRunnerArguments):
    if not runner_args.body:
        return
    await talk(runner_args)
