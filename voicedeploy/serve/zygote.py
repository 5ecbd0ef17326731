"""Births by fork: one process has loaded the bot, and every call's process is its fork."""

import asyncio
import os
import socket
from pathlib import Path

from voicedeploy.serve.channel import Channel, ChannelClosed
from voicedeploy.serve.child import Child
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import Metrics
from voicedeploy.serve.nursery import Backoff, Changed, Readiness, Starting, launch
from voicedeploy.serve.output import Output
from voicedeploy.serve.process import Process
from voicedeploy.serve.wire import Exited, Failed, Forked, Loaded, Reply, Said

# A fork takes milliseconds; a zygote that has not forked by then is stuck and takes no one's call with it.
FORK_TIMEOUT_S = 15.0
CLOSE_GRACE_S = 2.0


class ZygoteNursery:
    """Keeps one zygote alive, with growing pauses between the deaths of one that cannot live."""

    def __init__(self, config: FrontConfig, worker: Path, log: Log, metrics: Metrics, changed: Changed) -> None:
        self._config = config
        self._worker = worker
        self._log = log
        self._metrics = metrics
        self._changed = changed
        self._readiness: Readiness = Starting()
        self._channel: Channel | None = None
        self._process: Process | None = None
        # Asked for and not yet forked; forked and not yet gone.
        self._unborn: dict[str, Child] = {}
        self._living: dict[str, Child] = {}
        self._life: asyncio.Task[None] | None = None

    @property
    def readiness(self) -> Readiness:
        return self._readiness

    @property
    def fertile(self) -> bool:
        return isinstance(self._readiness, Loaded)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self._life = asyncio.create_task(self._live())

    def birth(self, name: str) -> Child:
        child = Child(name, self._log, started=lambda _child, _said: None)
        self._unborn[name] = child
        try:
            if self._channel is None:
                raise ChannelClosed
            self._channel.send({"op": "fork", "child": name}, [child.control.fileno(), child.log_write])
            child.hand_over()
        except ChannelClosed:
            del self._unborn[name]
            asyncio.get_running_loop().call_soon(child.stillborn)
        else:
            asyncio.get_running_loop().call_later(FORK_TIMEOUT_S, self._overdue, name, child)
        return child

    async def close(self) -> None:
        if self._life:
            self._life.cancel()
            await asyncio.wait([self._life])
            self._life = None
        if self._channel:
            self._channel.close()
        if self._process:
            try:
                async with asyncio.timeout(CLOSE_GRACE_S):
                    await self._process.gone.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.gone.wait()

    async def _live(self) -> None:
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while True:
            born_at = loop.time()
            try:
                await self._one_life()
            except Exception as error:
                self._turn(Failed(event="failed", error=f"{type(error).__name__}: {error}"))
            wait = backoff.after(loop.time() - born_at)
            self._metrics.zygote_deaths.inc()
            self._log.warning("zygote-restart", after_s=wait)
            await asyncio.sleep(wait)

    async def _one_life(self) -> None:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        output = Output(reading, lambda line: self._log.output("zygote", line))
        channel = Channel(ours, self._heard, lambda: None, self._nonsense)
        self._channel = channel
        try:
            with theirs:
                popen = launch(self._config, self._worker, role="zygote", child=None, control=theirs, log_write=writing)
        except BaseException:
            channel.close()
            output.close()
            raise
        finally:
            os.close(writing)
        process = self._process = Process(popen.pid, popen)
        try:
            await process.gone.wait()
        finally:
            if process.gone.is_set():
                channel.drain()
            channel.close()
            output.close()
        if not isinstance(self._readiness, Failed):
            self._turn(Starting())
        self._log.error("zygote-gone", pid=process.pid, code=process.code)
        self._bereave()

    def _bereave(self) -> None:
        unborn, self._unborn = self._unborn, {}
        for child in unborn.values():
            child.stillborn()
        # The kernel kills these with their parent; where it cannot, end of file on their channels does.
        living, self._living = self._living, {}
        for child in living.values():
            child.kill()

    def _heard(self, message: Said | Reply) -> None:
        match message:
            case Loaded():
                self._log.info("loaded", **message.model_dump(exclude={"event"}))
                self._turn(message)
            case Failed():
                self._log.error("bot-failed-to-load", **message.model_dump(exclude={"event"}))
                self._turn(message)
            case Forked():
                if child := self._unborn.pop(message.child, None):
                    self._living[message.child] = child
                    child.born(Process(message.pid))
            case Exited():
                if child := self._living.pop(message.child, None):
                    child.ended(message)
                elif child := self._unborn.pop(message.child, None):
                    self._log.error("fork-failed", child=message.child, error=message.error)
                    child.stillborn()

    def _turn(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._changed()

    def _nonsense(self, what: str) -> None:
        self._log.error("wire", process="zygote", error=what)

    def _overdue(self, name: str, child: Child) -> None:
        if self._unborn.get(name) is child and self._process:
            self._log.error("zygote-stuck", pid=self._process.pid, child=name)
            self._process.kill()
