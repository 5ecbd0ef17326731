"""The slots and the calls that hold them."""

import asyncio
from collections import Counter, OrderedDict
from pathlib import Path

import psutil
from pydantic import JsonValue

from voicedeploy.serve import ways
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.cores import cores, least_loaded
from voicedeploy.serve.fleet import fleet
from voicedeploy.serve.guests import Guests
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import Metrics
from voicedeploy.serve.nursery import WORKER
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.relay import Relay
from voicedeploy.serve.session import Ended, Session, Slot
from voicedeploy.serve.shapes import Listening, Ready, SessionStatus, Slots, Status
from voicedeploy.serve.warm import WarmPool
from voicedeploy.serve.wire import Failed, Loaded

# A call may end at any moment; a client that waits for a slot asks again after so long.
BUSY_RETRY_S = 5.0
STARTING_RETRY_S = 2.0
DRAINING_RETRY_S = 2.0
FAILED_RETRY_S = 30.0
# When the front ends: for what is still to be cleared away after calls.
CLEARING_S = 5.0
# Why a call ended is remembered for so many calls, for a client that asks too late.
REMEMBERED = 256


class Front:
    """`start` it in a running loop; `drained` is set when it drains and the last call has ended."""

    def __init__(self, config: FrontConfig, log: Log, metrics: Metrics, *, worker: Path = WORKER) -> None:
        self.config = config
        self.log = log
        self.metrics = metrics
        self.sessions: dict[str, Session] = {}
        self.draining = False
        self.drained = asyncio.Event()
        self.pool = WarmPool(
            config, log, metrics, worker=worker, busy=lambda: len(self.sessions), changed=self.update_metrics
        )
        self.failed_at_first = self.pool.failed_at_first
        self.relay = Relay(config, log)
        ports = config.media.udp_ports
        self._free = [Slot(number, ports[number:] + ports[:number]) for number in reversed(range(config.pool.max))]
        self._cores = cores() if config.session.cpu <= 1 else []
        self.fleet = fleet(config)
        self.way = ways.make(config, log)
        self._lives: set[asyncio.Task[None]] = set()
        self.guests = Guests(self._look_if_drained)
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._deadline: asyncio.TimerHandle | None = None
        metrics.slots.set(config.pool.max)

    def start(self) -> None:
        psutil.cpu_percent(percpu=True)  # the first call only sets the mark for the next
        self.pool.start()
        self.relay.start()

    async def close(self) -> None:
        """Ends every call and every process now."""
        self.draining = True
        self._end_all()
        while self.sessions or self.guests:
            await asyncio.wait(self._lives | self.guests.tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._lives:
            _, late = await asyncio.wait(self._lives, timeout=CLEARING_S)
            for life in late:
                life.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.pool.close()
        await self.relay.close()
        await self.way.close()

    def admit(self, *, transport: str, body: JsonValue) -> Session:
        """Takes a slot for a new call. Atomic: between the look and the taking nothing else runs.

        Raises `Refusal`.
        """
        if self.draining:
            raise Refusal(503, "draining", "this release takes no new calls", retry_after_s=DRAINING_RETRY_S)
        if isinstance(self.pool.readiness, Failed):
            raise Refusal(
                503,
                "failed",
                "the bot does not start",
                hint="its log says why, and so does /readyz to holders of the key",
                retry_after_s=FAILED_RETRY_S,
            )
        if not self.pool.can_take:
            raise Refusal(503, "starting", "the bot is starting", retry_after_s=STARTING_RETRY_S)
        if not self._free:
            raise Refusal(
                503,
                "busy",
                f"all {self.config.pool.max} slots are taken",
                hint="try again when a call has ended, or raise pool.max",
                retry_after_s=BUSY_RETRY_S,
            )
        try:
            child = self.pool.take()
        except OSError as error:
            self.log.error("no-process", error=str(error))
            raise Refusal(503, "busy", "this machine can start no process now", retry_after_s=BUSY_RETRY_S) from error
        id = self.fleet.session_id()
        for_client, for_bot = self.relay.servers(id)
        session = Session(
            id,
            self._free.pop(),
            child,
            config=self.config,
            transport=transport,
            body=body,
            ice_servers=for_client,
            bot_servers=for_bot,
            core=self._choose_core(),
            log=self.log,
            metrics=self.metrics,
        )
        self.sessions[session.id] = session
        self.metrics.started.inc()
        life = asyncio.create_task(self._live(session))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        self.pool.changed()
        return session

    def drain(self) -> None:
        """No new calls from now on; the running ones end in their own time, at most `drain.timeout_s`."""
        if self.draining:
            return
        self.draining = True
        timeout_s = self.config.drain_timeout_s
        self.log.info("drain", sessions=len(self.sessions), timeout_s=timeout_s)
        self._deadline = asyncio.get_running_loop().call_later(timeout_s, self._end_all)
        self.pool.drain()
        self._look_if_drained()

    def resume(self) -> bool:
        """Takes new calls again after a drain; False if the last call has ended and so has this front."""
        if self.drained.is_set():
            return False
        if self.draining:
            self.draining = False
            if self._deadline:
                self._deadline.cancel()
            self.log.info("resume", sessions=len(self.sessions))
            self.pool.resume()
        return True

    def find(self, id: str) -> Session | None:
        return self.sessions.get(id)

    def find_by_pc(self, pc_id: str) -> Session | None:
        found = (session for session in self.sessions.values() if pc_id and session.pc_id == pc_id)
        return next(found, None)

    def why_ended(self, id: str) -> Ended | None:
        return self._ended.get(id)

    def readyz(self) -> Ready:
        """Ready means: a process for a call could be had now."""
        readiness = self.pool.readiness
        if self.draining:
            return Ready(ready=False, reason="draining")
        if isinstance(readiness, Failed):
            said = readiness.model_dump(include={"error", "where", "traceback"})
            return Ready(ready=False, reason="failed", **said)
        if not isinstance(readiness, Loaded):
            return Ready(ready=False, reason="starting")
        if not self._free:
            return Ready(ready=False, reason="busy")
        if not self.pool.enough:
            return Ready(ready=False, reason="warming")
        return Ready(ready=True)

    def status(self, *, listening: Listening | None) -> Status:
        config, pool = self.config, self.pool
        loaded = pool.loaded
        return Status(
            bot=config.bot.name,
            release=config.bot.release,
            pipecat=loaded.pipecat if loaded else "",
            python=loaded.python if loaded else "",
            transport=config.transport.kind,
            slots=Slots(max=config.pool.max, busy=len(self.sessions), warm=pool.ready),
            sessions=[_told(session) for session in self.sessions.values()],
            draining=self.draining,
            listening=listening is not None,
            listen=listening,
            max_duration_s=config.session.max_duration_s,
            isolation=pool.isolation,
            unforkable="" if loaded is None or loaded.forkable else loaded.reason,
            zygote_pid=pool.zygote_pid,
            log_dropped=self.log.dropped,
        )

    def update_metrics(self) -> None:
        """Brings the gauges up to date."""
        self.metrics.busy.set(len(self.sessions))
        self.metrics.warm.set(self.pool.ready)
        self.metrics.draining.set(self.draining)
        self.metrics.log_dropped.set(self.log.dropped)

    async def _live(self, session: Session) -> None:
        self.log.info(
            "session-started",
            session=session.id,
            transport=session.transport,
            slot=session.slot.number,
            process=session.child.name,
            core=session.core,
        )
        try:
            self._ended[session.id] = await session.live()
        finally:
            if session.child.exit is None:
                session.child.kill()
                await session.child.until_gone()
            del self.sessions[session.id]
            self._free.append(session.slot)
            if len(self._ended) > REMEMBERED:
                self._ended.popitem(last=False)
            self.pool.changed()
            self._look_if_drained()
            await self.way.end(session)

    def _choose_core(self) -> int | None:
        calls = Counter(session.core for session in self.sessions.values() if session.core is not None)
        return least_loaded(calls, dict(enumerate(psutil.cpu_percent(percpu=True))), self._cores)

    def _end_all(self) -> None:
        for session in self.sessions.values():
            session.end("drain")
        self.guests.send_away()

    def _look_if_drained(self) -> None:
        if self.draining and not self.sessions and not self.guests:
            self.drained.set()


def _told(session: Session) -> SessionStatus:
    return SessionStatus(
        id=session.id,
        started_at=session.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        transport=session.transport,
        pid=session.child.pid,
        state=session.state,
    )
