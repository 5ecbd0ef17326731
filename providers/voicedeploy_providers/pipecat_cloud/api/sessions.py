"""Sessions of one agent: calls that run or ran."""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.pipecat_cloud.api.errors import AtCapacity, NoKey, NotFound, RateLimited
from voicedeploy_providers.pipecat_cloud.api.keys import WHERE
from voicedeploy_providers.pipecat_cloud.api.records import Record, Session, Started

_START_S = 120.0
"""A cold start answers only when the bot has begun."""


class _Sessions(Record):
    sessions: tuple[Session, ...] = ()


class Sessions:
    """`public` is None where there is no public key: then none can be started."""

    def __init__(self, wire: Wire, public: Wire | None, agent: str) -> None:
        self._wire = wire
        self._public = public
        self._agent = agent
        self._path = f"/agents/{quote(agent, safe='')}/sessions"

    def start(
        self,
        transport: Literal["daily", "webrtc", "websocket"],
        *,
        body: Mapping[str, Any] | None = None,
        ice_servers: bool = False,
        room: bool = False,
    ) -> Started:
        """Never tried again: a session costs. `AtCapacity` where every agent that may run is in a call.

        `ice_servers` asks for the platform's own; `room` for a Daily room.
        """
        what = f"starting a session of {self._agent}"
        if self._public is None:
            raise NoKey(
                "no public key for Pipecat Cloud", hint=f"make one at {WHERE}, then set PIPECAT_CLOUD_PUBLIC_KEY"
            )
        asked: dict[str, Any] = {"transport": transport}
        if ice_servers:
            asked["enableDefaultIceServers"] = True
        if room:
            asked["createDailyRoom"] = True
        if body:
            asked["body"] = dict(body)
        path = f"/{quote(self._agent, safe='')}/start"
        try:
            answer = self._public.call("POST", path, what, body=asked, again=False, patient=False, answer_s=_START_S)
        except RateLimited as full:
            raise AtCapacity(
                full.message, hint="raise `pool.max`, or call again in a while", status=full.status, word=full.word
            ) from full
        return self._wire.read(Started, answer, what)

    def list(
        self, status: Literal["active", "ended", "all"] = "all", *, deployment: str = "", most: int = 10
    ) -> tuple[Session, ...]:
        """Newest first."""
        what = f"listing the sessions of {self._agent}"
        params = {"status": status, "limit": most, **({"deploymentId": deployment} if deployment else {})}
        return self._wire.read(_Sessions, self._wire.call("GET", self._path, what, params=params), what).sessions

    def get(self, session: str) -> Session | None:
        what = f"looking at the session {session}"
        try:
            return self._wire.read(
                Session, self._wire.call("GET", f"{self._path}/{quote(session, safe='')}", what), what
            )
        except NotFound:
            return None

    def stop(self, session: str) -> None:
        """One that has ended is fine."""
        try:
            self._wire.call("DELETE", f"{self._path}/{quote(session, safe='')}", f"stopping the session {session}")
        except NotFound:
            return
