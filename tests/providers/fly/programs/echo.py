"""A machine's program: says who it is over HTTP, WebSocket and UDP, and does what it is told."""

import asyncio
import os
import signal
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

ME = os.environ["FLY_MACHINE_ID"]


async def who(request: Request) -> Response:
    shown = {name: value for name, value in os.environ.items() if name.isupper()}
    return JSONResponse({"machine": ME, "env": shown, "headers": dict(request.headers)})


async def echo(request: Request) -> Response:
    to = request.query_params.get("to", ME)
    if to != ME:
        return Response(headers={"fly-replay": f"instance={to};state=again"})
    body = await request.body()
    return Response(body, headers={"machine": ME, "source": request.headers.get("fly-replay-src", "")})


async def slow(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params["s"]))
    return Response(ME)


async def health(request: Request) -> Response:
    return Response(status_code=int(os.environ.get("HEALTH", "200")))


async def die(request: Request) -> Response:
    os._exit(int(request.query_params["code"]))


async def talk(websocket: WebSocket) -> None:
    to = websocket.query_params.get("to", ME)
    if to != ME:
        await websocket.send_denial_response(Response(headers={"fly-replay": f"instance={to}"}))
        return
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{ME} {text}")


class Udp(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers_from: socket.socket | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        if os.environ.get("UDP_ELSEWHERE"):
            self.answers_from = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = f"{ME} ".encode() + data
        if self.answers_from is not None:
            self.answers_from.sendto(answer, addr)
        else:
            self.transport.sendto(answer, addr)


async def main() -> None:
    if code := os.environ.get("EXIT"):
        sys.exit(int(code))
    if port := os.environ.get("UDP_PORT"):
        address = socket.gethostbyname("fly-global-services")
        await asyncio.get_running_loop().create_datagram_endpoint(Udp, local_addr=(address, int(port)))
    routes = [
        Route("/who", who),
        Route("/echo", echo, methods=["GET", "POST"]),
        Route("/slow", slow),
        Route("/healthz", health),
        Route("/die", die),
        WebSocketRoute("/talk", talk),
    ]
    config = uvicorn.Config(Starlette(routes=routes), port=int(os.environ["PORT"]), ws="websockets-sansio")
    server = uvicorn.Server(config)
    if os.environ.get("STUBBORN"):
        config.timeout_graceful_shutdown = None
        task = asyncio.create_task(server._serve())
        signal.signal(signal.SIGTERM, lambda *_: None)
        await task
    else:
        await server.serve()


asyncio.run(main())
