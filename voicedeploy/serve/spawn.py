"""Births by spawn: each call's process loads the bot itself, ahead of its call."""

import asyncio
from pathlib import Path

from voicedeploy.serve.child import Child
from voicedeploy.serve.config import ConfigError, FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.nursery import Backoff, Changed, Readiness, Starting, launch
from voicedeploy.serve.process import Process
from voicedeploy.serve.wire import Failed, Loaded, Said


class SpawnNursery:
    """For bots that cannot be forked, and where `session.isolation` says so."""

    def __init__(self, config: FrontConfig, worker: Path, log: Log, changed: Changed) -> None:
        self._config = config
        self._worker = worker
        self._log = log
        self._changed = changed
        self._readiness: Readiness = Starting()
        self._backoff = Backoff()
        self._fertile_at = 0.0

    @property
    def readiness(self) -> Readiness:
        return self._readiness

    @property
    def fertile(self) -> bool:
        return asyncio.get_running_loop().time() >= self._fertile_at

    def start(self) -> None:
        pass

    def birth(self, name: str) -> Child:
        loop = asyncio.get_running_loop()
        child = Child(name, self._log, started=self._started)
        try:
            popen = launch(
                self._config,
                self._worker,
                role="child",
                child=name,
                control=child.control,
                log_write=child.log_write,
            )
        except (OSError, ConfigError) as error:
            self._started(child, Failed(event="failed", error=f"{type(error).__name__}: {error}"))
            loop.call_soon(child.stillborn)
        else:
            child.born(Process(popen.pid, popen))
        return child

    async def close(self) -> None:
        pass

    def _started(self, child: Child, said: Said) -> None:
        match said:
            case Loaded():
                if not isinstance(self._readiness, Loaded):
                    self._log.info("loaded", **said.model_dump(exclude={"event"}))
                self._backoff.reset()
                self._readiness = said
            case Failed():
                self._log.error("bot-failed-to-load", **said.model_dump(exclude={"event"}))
                now = asyncio.get_running_loop().time()
                self._fertile_at = now + self._backoff.after(now - child.born_at)
                self._readiness = said
        self._changed()
