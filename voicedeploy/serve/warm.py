"""The processes that wait ready: born ahead of their calls, replaced when they die, retired when too many."""

import asyncio
import itertools
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

from voicedeploy.serve.child import Child, Exit
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import Metrics
from voicedeploy.serve.nursery import Backoff, Nursery, Readiness
from voicedeploy.serve.pool import processes
from voicedeploy.serve.spawn import SpawnNursery
from voicedeploy.serve.wire import Failed, Loaded, Said
from voicedeploy.serve.zygote import ZygoteNursery

# The pool is looked at when something changed, and this often.
TEND_S = 1.0
# A process that goes when the pool shrinks holds no call and needs no long farewell.
RETIRE_GRACE_S = 2.0


class WarmPool:
    """Keeps as many processes waiting as `[pool]` says for the calls that `busy` counts.

    `changed` is called whenever `readiness` or `ready` may have another value.
    """

    def __init__(
        self,
        config: FrontConfig,
        log: Log,
        metrics: Metrics,
        *,
        worker: Path,
        busy: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self.loaded: Loaded | None = None
        """What the bot said when it was first loaded."""
        self.failed_at_first = asyncio.Event()
        """Set when the bot fails before it ever loaded."""
        self._config = config
        self._log = log
        self._metrics = metrics
        self._worker = worker
        self._busy = busy
        self._tell = changed
        self._names = (f"c{number}" for number in itertools.count(1))
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Child] = []
        self._closing = False
        self._backoff = Backoff()
        self._fill_at = 0.0
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tending: asyncio.Task[None] | None = None
        self._nursery = self._make_nursery(config.session.isolation)

    def start(self) -> None:
        self._nursery.start()
        self._tending = asyncio.create_task(self._tend())

    def drain(self) -> None:
        """No process is born any more, and those that wait are retired."""
        self._closing = True
        self.changed()

    def resume(self) -> None:
        """After `drain`: processes are born again."""
        self._closing = False
        self.changed()

    async def close(self) -> None:
        """Ends every process that waits, then what they are born from: calls must be over before."""
        self._closing = True
        if self._tending:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        while self._waiting:
            self._retire(self._waiting.pop())
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._nursery.close()

    @property
    def readiness(self) -> Readiness:
        return self._nursery.readiness

    @property
    def ready(self) -> int:
        """How many processes wait ready."""
        return sum(child.ready for child in self._waiting)

    @property
    def enough(self) -> bool:
        """Whether the least number of processes is there."""
        return self.ready >= self._config.pool.min - self._busy()

    @property
    def can_take(self) -> bool:
        return isinstance(self.readiness, Loaded) and (bool(self._waiting) or self._nursery.fertile)

    @property
    def isolation(self) -> Literal["fork", "spawn"]:
        return "fork" if isinstance(self._nursery, ZygoteNursery) else "spawn"

    @property
    def zygote_pid(self) -> int | None:
        return self._nursery.pid if isinstance(self._nursery, ZygoteNursery) else None

    def take(self) -> Child:
        """A process for a call: one that waits ready, else one on its way, else a new one. Raises `OSError`."""
        child = next((child for child in self._waiting if child.ready), None) or next(iter(self._waiting), None)
        if child is None:
            child = self._nursery.birth(next(self._names))
        else:
            self._waiting.remove(child)
        self._fill_at = max(self._fill_at, self._loop.time() + self._config.pool.refill_delay_s)
        return child

    def changed(self) -> None:
        """Something changed here or in the number of calls."""
        self._news.set()
        self._tell()

    def died(self, child: Child, exit: Exit) -> None:
        """A process that waited has ended by itself."""
        if child not in self._waiting:
            return
        self._waiting.remove(child)
        self._metrics.warm_deaths.inc()
        wait = self._backoff.after(self._loop.time() - child.born_at)
        self._fill_at = max(self._fill_at, self._loop.time() + wait)
        self._log.error("warm-process-died", process=child.name, pid=child.pid, how=str(exit), retry_s=wait)
        self.changed()

    async def _tend(self) -> None:
        while True:
            self._news.clear()
            try:
                self._balance()
            except Exception as error:
                # A pool that is not tended for a second (no descriptors left, say) is better than none.
                self._log.error("pool", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
                self._fill_at = self._loop.time() + TEND_S
            wait = self._fill_at - self._loop.time()
            try:
                async with asyncio.timeout(min(wait, TEND_S) if wait > 0 else TEND_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _balance(self) -> None:
        self._follow_nursery()
        wanted = self._wanted()
        while len(self._waiting) > wanted:
            self._retire(self._waiting.pop())
        if self._loop.time() < self._fill_at:
            return
        while len(self._waiting) < wanted and self._nursery.fertile:
            child = self._nursery.birth(next(self._names))
            child.listener = _Waiting(child, self)
            self._waiting.append(child)

    def _wanted(self) -> int:
        if self._closing:
            return 0
        pool, busy = self._config.pool, self._busy()
        wanted = processes(busy, pool.warm, least=pool.min, most=pool.max) - busy
        # A bot that has not loaded has to be tried, or nobody would know.
        return wanted if isinstance(self.readiness, Loaded) else max(wanted, 1)

    def _follow_nursery(self) -> None:
        match self.readiness:
            case Loaded() as loaded:
                if not loaded.forkable and isinstance(self._nursery, ZygoteNursery):
                    self._log.warning("not-forkable", reason=loaded.reason)
                    self._begin(self._nursery.close())
                    self._nursery = self._make_nursery("spawn")
                    self.loaded = loaded
                elif self.loaded is None or self.loaded.forkable:
                    self.loaded = loaded
            case Failed() if self.loaded is None:
                self.failed_at_first.set()

    def _retire(self, child: Child) -> None:
        child.listener = None
        self._begin(_ended(child))

    def _make_nursery(self, isolation: Literal["fork", "spawn"]) -> Nursery:
        if isolation == "spawn":
            return SpawnNursery(self._config, self._worker, self._log, self.changed)
        return ZygoteNursery(self._config, self._worker, self._log, self._metrics, self.changed)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Waiting:
    """Hears a process that has no call yet."""

    def __init__(self, child: Child, pool: WarmPool) -> None:
        self._child = child
        self._pool = pool

    def heard(self, message: Said) -> None:
        self._pool.changed()

    def gone(self, exit: Exit) -> None:
        self._pool.died(self._child, exit)


async def _ended(child: Child) -> None:
    await child.end("drain", grace_s=RETIRE_GRACE_S)
