"""WebSockets, of Pipecat's clients and of phone carriers: whoever knows the session's id may open its one socket."""

from pydantic import JsonValue

from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.outside import websocket_url
from voicedeploy.serve.requests import StartRequest
from voicedeploy.serve.session import Session
from voicedeploy.serve.ways import Way


def open_way(config: FrontConfig, log: Log) -> Way:
    return Socket()


class Socket:
    async def start(self, session: Session, wanted: StartRequest, outside: str) -> dict[str, JsonValue]:
        return {"wsUrl": websocket_url(outside, session.id), "transport": session.transport}

    async def end(self, session: Session) -> None:
        return

    async def close(self) -> None:
        return
