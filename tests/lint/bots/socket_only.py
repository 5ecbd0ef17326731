"""Where no patch can be written: the connection goes elsewhere."""

from pipecat.runner.types import WebSocketRunnerArguments


async def serve(websocket): ...


async def bot(runner_args: WebSocketRunnerArguments):
    await serve(runner_args.websocket)
