"""The slots, the processes that wait ready, and the calls."""

import asyncio
import itertools
import uuid
from collections import Counter, OrderedDict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import JsonValue

from voicedeploy.serve.child import Child, Exit
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.cores import cores, least_loaded
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import Metrics
from voicedeploy.serve.nursery import WORKER, Backoff, Nursery
from voicedeploy.serve.pool import processes
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.session import Ended, Session, Slot
from voicedeploy.serve.shapes import Listening, Ready, SessionStatus, Slots, Status
from voicedeploy.serve.spawn import SpawnNursery
from voicedeploy.serve.wire import Failed, Loaded, Said
from voicedeploy.serve.zygote import ZygoteNursery

# The pool is looked at when something changed, and this often.
TEND_S = 1.0
# A call may end at any moment; a client that waits for a slot asks again after so long.
BUSY_RETRY_S = 5.0
STARTING_RETRY_S = 2.0
DRAINING_RETRY_S = 2.0
FAILED_RETRY_S = 30.0
# Why a call ended is remembered for so many calls, for a client that asks too late.
REMEMBERED = 256
# A warm process that goes when the pool shrinks holds no call and needs no long farewell.
RETIRE_GRACE_S = 2.0


class Front:
    """`start` it in a running loop; `drained` is set when it drains and the last call has ended."""

    def __init__(self, config: FrontConfig, log: Log, metrics: Metrics, *, worker: Path = WORKER) -> None:
        self.config = config
        self.log = log
        self.metrics = metrics
        self.sessions: dict[str, Session] = {}
        self.draining = False
        self.drained = asyncio.Event()
        self.failed_at_first = asyncio.Event()
        """Set when the bot fails before it ever loaded."""
        self._worker = worker
        self._names = (f"c{number}" for number in itertools.count(1))
        ports = config.media.udp_ports
        self._free = [Slot(number, ports[number:] + ports[:number]) for number in reversed(range(config.pool.max))]
        self._cores = cores() if config.session.cpu <= 1 else []
        self._warm: list[Child] = []
        self._lives: set[asyncio.Task[None]] = set()
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._backoff = Backoff()
        self._changed = asyncio.Event()
        self._fill_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._loaded: Loaded | None = None
        self._nursery: Nursery = self._make_nursery(config.session.isolation)
        self._tending: asyncio.Task[None] | None = None
        metrics.slots.set(config.pool.max)

    def start(self) -> None:
        psutil.cpu_percent(percpu=True)  # the first call only sets the mark for the next
        self._nursery.start()
        self._tending = asyncio.create_task(self._tend())

    async def close(self) -> None:
        """Ends every call and every process now."""
        self.draining = True
        for session in list(self.sessions.values()):
            session.end("drain")
        if self._tending:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        while self._warm:
            self._retire(self._warm.pop())
        while self._lives:
            await asyncio.wait(self._lives)
        await self._nursery.close()

    # What others ask

    def readyz(self) -> Ready:
        """Ready means: a process for a call could be had now."""
        nursery = self._nursery.readiness
        if self.draining:
            return Ready(ready=False, reason="draining")
        if isinstance(nursery, Failed):
            said = nursery.model_dump(include={"error", "where", "traceback"})
            return Ready(ready=False, reason="failed", **said)
        if not isinstance(nursery, Loaded):
            return Ready(ready=False, reason="starting")
        if not self._free:
            return Ready(ready=False, reason="busy")
        if self._ready_warm() < self.config.pool.min - len(self.sessions):
            return Ready(ready=False, reason="warming")
        return Ready(ready=True)

    def status(self, *, listening: Listening | None) -> Status:
        config = self.config
        loaded = self._loaded
        return Status(
            bot=config.bot.name,
            release=config.bot.release,
            pipecat=loaded.pipecat if loaded else "",
            python=loaded.python if loaded else "",
            transport=config.transport.kind,
            slots=Slots(max=config.pool.max, busy=len(self.sessions), warm=self._ready_warm()),
            sessions=[
                SessionStatus(
                    id=session.id,
                    started_at=session.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    transport=session.transport,
                    pid=session.child.pid,
                    state=session.state,
                )
                for session in self.sessions.values()
            ],
            draining=self.draining,
            listening=listening is not None,
            listen=listening,
            max_duration_s=config.session.max_duration_s,
            isolation="fork" if isinstance(self._nursery, ZygoteNursery) else "spawn",
            unforkable="" if loaded is None or loaded.forkable else loaded.reason,
            zygote_pid=self._nursery.pid if isinstance(self._nursery, ZygoteNursery) else None,
            log_dropped=self.log.dropped,
        )

    def find(self, id: str) -> Session | None:
        return self.sessions.get(id)

    def find_by_pc(self, pc_id: str) -> Session | None:
        found = (session for session in self.sessions.values() if pc_id and session.pc_id == pc_id)
        return next(found, None)

    def why_ended(self, id: str) -> Ended | None:
        return self._ended.get(id)

    def admit(self, *, transport: str, body: JsonValue) -> Session:
        """Takes a slot for a new call. Atomic: between the look and the taking nothing else runs.

        Raises `Refusal`.
        """
        if self.draining:
            raise Refusal(503, "draining", "this release takes no new calls", retry_after_s=DRAINING_RETRY_S)
        readiness = self._nursery.readiness
        if isinstance(readiness, Failed):
            raise Refusal(
                503,
                "failed",
                "the bot does not start",
                hint="its log says why, and so does /readyz to holders of the key",
                retry_after_s=FAILED_RETRY_S,
            )
        if not isinstance(readiness, Loaded) or not (self._warm or self._nursery.fertile):
            raise Refusal(503, "starting", "the bot is starting", retry_after_s=STARTING_RETRY_S)
        if not self._free:
            raise Refusal(
                503,
                "busy",
                f"all {self.config.pool.max} slots are taken",
                hint="try again when a call has ended, or raise pool.max",
                retry_after_s=BUSY_RETRY_S,
            )
        slot = self._free.pop()
        session = Session(
            str(uuid.uuid4()),
            slot,
            self._take(),
            config=self.config,
            transport=transport,
            body=body,
            core=self._choose_core(),
            log=self.log,
            metrics=self.metrics,
        )
        self.sessions[session.id] = session
        self.metrics.started.inc()
        self._fill_at = max(self._fill_at, self._loop.time() + self.config.pool.refill_delay_s)
        self._begin(self._live(session))
        self.update()
        return session

    def drain(self) -> None:
        """No new calls from now on; the running ones end in their own time, at most `drain.timeout_s`."""
        if self.draining:
            return
        self.draining = True
        self.log.info("drain", sessions=len(self.sessions), timeout_s=self.config.drain_timeout_s)
        self._loop.call_later(self.config.drain_timeout_s, self._drain_now)
        self.update()

    # The calls

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
            self.update()

    def _choose_core(self) -> int | None:
        calls = Counter(s.core for s in self.sessions.values() if s.core is not None)
        load = dict(enumerate(psutil.cpu_percent(percpu=True)))
        return least_loaded(calls, load, self._cores)

    def _drain_now(self) -> None:
        for session in self.sessions.values():
            session.end("drain")

    # The pool

    def _ready_warm(self) -> int:
        return sum(child.ready for child in self._warm)

    def _take(self) -> Child:
        """A process that waits ready, else one on its way, else a new one."""
        child = next((child for child in self._warm if child.ready), None) or next(iter(self._warm), None)
        if child is None:
            return self._nursery.birth(next(self._names))
        self._warm.remove(child)
        return child

    async def _tend(self) -> None:
        while True:
            self._balance()
            self._changed.clear()
            wait = self._fill_at - self._loop.time()
            try:
                async with asyncio.timeout(min(wait, TEND_S) if wait > 0 else TEND_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _balance(self) -> None:
        pool = self.config.pool
        self._adopt_readiness()
        wanted = processes(len(self.sessions), pool.warm, least=pool.min, most=pool.max) - len(self.sessions)
        if not isinstance(self._nursery.readiness, Loaded):
            # A bot that has not loaded has to be tried, or nobody would know.
            wanted = max(wanted, 1)
        if self.draining:
            wanted = 0
        while len(self._warm) > wanted:
            self._retire(self._warm.pop())
        if self._loop.time() >= self._fill_at:
            while len(self._warm) < wanted and self._nursery.fertile:
                child = self._nursery.birth(next(self._names))
                child.listener = _Warm(child, self)
                self._warm.append(child)
        self.update_metrics()

    def _adopt_readiness(self) -> None:
        match self._nursery.readiness:
            case Loaded() as loaded:
                if not loaded.forkable and isinstance(self._nursery, ZygoteNursery):
                    self.log.warning("not-forkable", reason=loaded.reason)
                    self._begin(self._nursery.close())
                    self._nursery = self._make_nursery("spawn")
                    self._loaded = loaded
                elif self._loaded is None or self._loaded.forkable:
                    self._loaded = loaded
            case Failed() if self._loaded is None:
                self.failed_at_first.set()

    def died_warm(self, child: Child, exit: Exit) -> None:
        if child not in self._warm:
            return
        self._warm.remove(child)
        self.metrics.warm_deaths.inc()
        wait = self._backoff.after(self._loop.time() - child.born_at)
        self._fill_at = max(self._fill_at, self._loop.time() + wait)
        self.log.error("warm-process-died", process=child.name, pid=child.pid, how=str(exit), retry_s=wait)
        self.update()

    def _retire(self, child: Child) -> None:
        child.listener = None
        self._begin(_ended(child))

    def _make_nursery(self, isolation: Literal["fork", "spawn"]) -> Nursery:
        if isolation == "spawn":
            return SpawnNursery(self.config, self._worker, self.log, self.update)
        return ZygoteNursery(self.config, self._worker, self.log, self.metrics, self.update)

    # Common

    def update(self) -> None:
        """Something changed."""
        self._changed.set()
        self.update_metrics()
        if self.draining and not self.sessions:
            self.drained.set()

    def update_metrics(self) -> None:
        """Brings the gauges up to date."""
        self.metrics.busy.set(len(self.sessions))
        self.metrics.warm.set(self._ready_warm())
        self.metrics.draining.set(self.draining)
        self.metrics.log_dropped.set(self.log.dropped)

    def _begin(self, life: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(life)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)


class _Warm:
    """Hears a process that has no call yet."""

    def __init__(self, child: Child, front: Front) -> None:
        self._child = child
        self._front = front

    def heard(self, message: Said) -> None:
        self._front.update()

    def gone(self, exit: Exit) -> None:
        self._front.died_warm(self._child, exit)


async def _ended(child: Child) -> None:
    await child.end("drain", grace_s=RETIRE_GRACE_S)
