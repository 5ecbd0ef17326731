"""What is behind the doors of such a front: nothing but the memory of who has just begun."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

from voicedeploy.serve.config import FrontConfig, secrets_of
from voicedeploy.serve.fleet import fleet
from voicedeploy.serve.guests import Guests
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import Metrics
from voicedeploy.serve.shapes import Listening, Ready, Slots, Status
from voicedeploy.serve.upstream.platform import Platform

# A client may offer within 120 s of its start (docs.pipecat.ai, Pipecat Cloud, 2026-08); from then on it needs no
# front, but for an ICE restart.
SETTLES_S = 120.0
REMEMBERED = 10_000


class UpstreamFront:
    """`drained` is set when it drains and nobody can still be about to offer."""

    def __init__(self, config: FrontConfig, log: Log, metrics: Metrics) -> None:
        self.config = config
        self.log = log
        self.metrics = metrics
        self.fleet = fleet(config)
        key = secrets_of(config)[config.upstream.key].strip()
        self.platform = Platform(config.upstream, key, region=config.transport.region)
        self.draining = False
        self.drained = asyncio.Event()
        self.failed_at_first = asyncio.Event()
        """Never: no bot is loaded here."""
        self._begun: OrderedDict[str, float] = OrderedDict()
        self._connections: OrderedDict[str, str] = OrderedDict()
        self._settling: asyncio.TimerHandle | None = None
        self.guests = Guests(self._look)

    def start(self) -> None:
        self.log.info("upstream", url=self.config.upstream.url)

    async def close(self) -> None:
        self.draining = True
        self._settle(None)
        self.guests.send_away()
        if self.guests:
            await asyncio.wait(self.guests.tasks)
        await self.platform.close()

    @property
    def sessions(self) -> Mapping[str, float]:
        """Those that may still need this front: when each was begun, of the loop's time."""
        since = asyncio.get_running_loop().time() - SETTLES_S
        return {id: begun for id, begun in self._begun.items() if begun > since}

    def began(self, id: str, transport: str) -> None:
        self.metrics.started.inc()
        self.log.info("session-started", session=id, transport=transport, upstream=self.config.upstream.name)
        self._begun[id] = asyncio.get_running_loop().time()
        if len(self._begun) > REMEMBERED:
            self._begun.popitem(last=False)

    def knows(self, id: str) -> bool:
        return id in self._begun

    def connected(self, id: str, pc_id: str) -> None:
        self._connections[pc_id] = id
        if len(self._connections) > REMEMBERED:
            self._connections.popitem(last=False)

    def by_pc(self, pc_id: str) -> str:
        """The session of a peer connection; "" where it is not known here."""
        return self._connections.get(pc_id, "")

    def drain(self) -> None:
        """No new sessions from now on; those just begun may still connect."""
        if not self.draining:
            self.draining = True
            self.log.info("drain", sessions=len(self.sessions), timeout_s=SETTLES_S)
            self._look()

    def resume(self) -> bool:
        if self.drained.is_set():
            return False
        self.draining = False
        self._settle(None)
        return True

    def _look(self) -> None:
        if not self.draining:
            return
        waiting = self.sessions
        if waiting:
            self._settle(max(waiting.values()) + SETTLES_S)
        elif not self.guests:
            self.drained.set()

    def _settle(self, at: float | None) -> None:
        if self._settling:
            self._settling.cancel()
        self._settling = None if at is None else asyncio.get_running_loop().call_at(at, self._look)

    def readyz(self) -> Ready:
        return Ready(ready=False, reason="draining") if self.draining else Ready(ready=True)

    def status(self, *, listening: Listening | None) -> Status:
        config = self.config
        return Status(
            bot=config.bot.name,
            release=config.bot.release,
            pipecat="",
            transport=config.transport.kind,
            slots=Slots(max=config.pool.max, busy=len(self.sessions), warm=0),
            sessions=[],
            draining=self.draining,
            listening=listening is not None,
            listen=listening,
            max_duration_s=SETTLES_S,
            upstream=config.upstream.url,
            log_dropped=self.log.dropped,
        )

    def update_metrics(self) -> None:
        self.metrics.busy.set(len(self.sessions))
        self.metrics.draining.set(self.draining)
        self.metrics.log_dropped.set(self.log.dropped)
