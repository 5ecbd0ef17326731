"""Pipecat's SmallWebRTC: the client offers next, and is told the ICE servers."""

from pydantic import JsonValue

from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.requests import StartRequest
from voicedeploy.serve.session import Session
from voicedeploy.serve.ways import Way

# Pipecat's runner hands out this one to clients that ask for a default and where none is configured.
DEFAULT_ICE = "stun:stun.l.google.com:19302"


def open_way(config: FrontConfig, log: Log) -> Way:
    return WebRTC(config)


class WebRTC:
    def __init__(self, config: FrontConfig) -> None:
        self._config = config

    async def start(self, session: Session, wanted: StartRequest, outside: str) -> dict[str, JsonValue]:
        servers: list[JsonValue] = [*session.ice_servers]
        if self._config.transport.relay_only:
            # A browser's own word for it. Without a relay there is no way: said too, or the client would try others.
            return {"iceConfig": {"iceServers": servers, "iceTransportPolicy": "relay"}}
        if not servers and wanted.enableDefaultIceServers:
            servers = [{"urls": DEFAULT_ICE}]
        return {"iceConfig": {"iceServers": servers}} if servers else {}

    async def end(self, session: Session) -> None:
        return

    async def close(self) -> None:
        return
