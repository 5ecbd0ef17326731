"""A bot that needs no Pipecat and has a socket: it tells what it was given, and sends everything back."""

import json
from typing import Any

from starlette.websockets import WebSocketDisconnect


async def bot(args: Any) -> None:
    print(f"hello {args.session_id} {args.body}", flush=True)  # noqa: T201
    await args.websocket.send_text(json.dumps({"session": args.session_id, "body": args.body}))
    try:
        while True:
            said = await args.websocket.receive()
            if said["type"] == "websocket.disconnect" or said.get("text") == "crash":
                break
            if said.get("text") is not None:
                await args.websocket.send_text(said["text"])
            else:
                await args.websocket.send_bytes(said["bytes"])
    except WebSocketDisconnect:
        return
    if said.get("text") == "crash":
        await args.websocket.close(1011)
