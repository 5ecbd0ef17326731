"""The program of the platform's base image, by its documented contract: `bot.py` beside it, `/bot` held for a session,
`/api/offer`, `/ws`, `/readyz` and `/livez` on `PORT`.
"""

import asyncio
import base64
import importlib
import inspect
import json
import os
import sys
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

sys.path[0] = os.getcwd()  # noqa: PTH109 - as the interpreter has it

of_the_user = importlib.import_module("bot")

HOLD_S = float(os.environ.get("HOLD_S", "120"))


class Sessions:
    """One at a time."""

    def __init__(self) -> None:
        self.body: Any = {}
        self.offered = asyncio.Event()
        self.over = asyncio.Event()
        self.handler: Any = None

    async def run(self, args: Any) -> None:
        print(f"session {args.session_id} begins", flush=True)  # noqa: T201
        try:
            await of_the_user.bot(args)
        except Exception as error:
            print(f"Exception running bot(): {error!r}", flush=True)  # noqa: T201
        finally:
            print(f"session {args.session_id} is over", flush=True)  # noqa: T201
            self.over.set()

    async def bot(self, request: Request) -> Response:
        from pipecat.runner.types import DailyRunnerArguments, RunnerArguments

        head, body = request.headers, await request.json()
        session = head.get("x-daily-session-id")
        if head.get("x-daily-transport-type") == "webrtc":
            self.body = body
            self.offered.clear()
            self.over.clear()
            try:
                await asyncio.wait_for(self.offered.wait(), HOLD_S)
            except TimeoutError:
                return JSONResponse({"error": "no client offered in time"}, 500)
            await self.over.wait()
            return JSONResponse({})
        args: Any
        if head.get("x-daily-room-url"):
            args = DailyRunnerArguments(
                room_url=head["x-daily-room-url"], token=head.get("x-daily-room-token"), body=body
            )
        else:
            args = RunnerArguments(body=body)
        args.session_id = session
        await self.run(args)
        return JSONResponse({})

    async def offer(self, request: Request) -> Response:
        from pipecat.runner.types import SmallWebRTCRunnerArguments
        from pipecat.transports.smallwebrtc.connection import IceServer, SmallWebRTCConnection
        from pipecat.transports.smallwebrtc.request_handler import (
            ConnectionMode,
            IceCandidate,
            SmallWebRTCPatchRequest,
            SmallWebRTCRequest,
            SmallWebRTCRequestHandler,
        )

        said = await request.json()
        if self.handler is None:
            self.handler = SmallWebRTCRequestHandler(connection_mode=ConnectionMode.SINGLE)
        if request.method == "PATCH":
            candidates = [IceCandidate(**one) for one in said.get("candidates", [])]
            await self.handler.handle_patch_request(SmallWebRTCPatchRequest(said["pc_id"], candidates))
            return JSONResponse({"status": "success"})
        async with httpx.AsyncClient(trust_env=False) as http:
            ice = (await http.get(os.environ["ICE_CONFIG_URL"])).json()["iceConfig"]["iceServers"]
        self.handler.update_ice_servers([IceServer(**server) for server in ice] or None)
        asked = SmallWebRTCRequest.from_dict(said)

        async def connected(connection: SmallWebRTCConnection) -> None:
            args = SmallWebRTCRunnerArguments(webrtc_connection=connection, body=asked.request_data or self.body)
            args.session_id = request.headers.get("x-daily-session-id")
            self.offered.set()
            running.add(task := asyncio.create_task(self.run(args)))
            task.add_done_callback(running.discard)

        return JSONResponse(await self.handler.handle_web_request(asked, connected))

    async def socket(self, socket: WebSocket) -> None:
        from pipecat.runner.types import WebSocketRunnerArguments

        await socket.accept()
        body = json.loads(base64.b64decode(socket.query_params.get("body", "e30=")))
        args = WebSocketRunnerArguments(websocket=socket, body=body)
        args.session_id = socket.headers.get("x-daily-session-id")
        await self.run(args)


running: set[asyncio.Task[None]] = set()


async def readyz(_: Request) -> Response:
    said = getattr(of_the_user, "readyz", lambda: True)()
    if inspect.isawaitable(said):
        said = await said
    ready = said.get("ready", False) if isinstance(said, dict) else said
    return JSONResponse({"ready": bool(ready)}, 200 if ready else 503)


async def livez(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def main() -> None:
    sessions = Sessions()
    routes = [
        Route("/bot", sessions.bot, methods=["POST"]),
        Route("/api/offer", sessions.offer, methods=["POST", "PATCH"]),
        WebSocketRoute("/ws", sessions.socket),
        Route("/readyz", readyz),
        Route("/livez", livez),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", lifespan="off"
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main())
