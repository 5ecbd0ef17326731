"""One process for one call, from its birth to its end."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import JsonValue

from voicedeploy.serve.channel import Channel, ChannelClosed
from voicedeploy.serve.log import Log
from voicedeploy.serve.output import Output
from voicedeploy.serve.process import Process
from voicedeploy.serve.wire import EndReason, Exited, Failed, Loaded, Ready, Reply, Said

# A process that has closed its channel has this long to end before it is killed.
CLOSED_GRACE_S = 2.0
# How long the zygote may take to say how its child ended, after it ended.
OBITUARY_S = 0.5


@dataclass(frozen=True)
class Exit:
    """How a process ended, as far as it is known."""

    code: int | None = None
    signal: int | None = None
    cpu_s: float | None = None
    max_rss: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"signal {self.signal}"
        return "an unknown end" if self.code is None else f"exit code {self.code}"


class ChildGone(Exception):
    """The process ended before it answered."""


class Listener(Protocol):
    """Who hears what a child says: the warm pool first, then its session."""

    def heard(self, message: Said) -> None: ...
    def gone(self, exit: Exit) -> None: ...


class Child:
    """A process that waits for its session, or has it.

    A nursery makes it and tells it `born` or `stillborn`; `ended` (in a forked child's case) is the zygote's word.
    """

    def __init__(self, name: str, log: Log, *, started: Callable[["Child", Said], None]) -> None:
        self.name = name
        self.session = ""
        self.process: Process | None = None
        self.exit: Exit | None = None
        self.ready = False
        self.born_at = asyncio.get_running_loop().time()
        self.listener: Listener | None = None
        self._log = log
        self._started = started
        self._changed = asyncio.Event()
        self._questions: dict[int, asyncio.Future[Reply]] = {}
        self._asked = 0
        self._obituary: Exit | None = None
        self._kill_me = False
        self._watching: asyncio.Task[None] | None = None
        ours, self.control = socket.socketpair()
        reading, self.log_write = os.pipe()
        self._channel = Channel(ours, self._heard, self._closed, self._nonsense)
        self._output = Output(reading, lambda line: log.output(name, line, session=self.session))

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def hand_over(self) -> None:
        """Closes the process's own ends here, once it has them."""
        if self.control.fileno() >= 0:
            self.control.close()
            os.close(self.log_write)

    def born(self, process: Process) -> None:
        self.hand_over()
        self.process = process
        if self._kill_me:
            process.kill()
        self._watching = asyncio.create_task(self._watch(process))

    def stillborn(self) -> None:
        """There will be no process."""
        self.hand_over()
        if self.process is None:
            self._finish(Exit())

    def ended(self, word: Exited) -> None:
        self._obituary = Exit(word.code, word.signal, word.cpu_s, word.max_rss)
        self._wake()

    async def until_ready(self) -> None:
        """Raises `ChildGone`."""
        while not self.ready:
            if self.exit is not None:
                raise ChildGone(str(self.exit))
            await self._next()

    async def until_gone(self) -> Exit:
        while self.exit is None:
            await self._next()
        return self.exit

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Raises `ChildGone`."""
        try:
            self._channel.send({**message, "descriptors": len(descriptors)} if descriptors else message, descriptors)
        except ChannelClosed as error:
            raise ChildGone(str(error)) from error

    async def ask(self, question: Mapping[str, Any], *, timeout_s: float, descriptors: Sequence[int] = ()) -> JsonValue:
        """The answer to an operation; `descriptors` are duplicated. Raises `ChildGone`, `Refused`, `TimeoutError`."""
        self._asked += 1
        number = self._asked
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._questions[number] = future
        try:
            self.tell({**question, "id": number}, descriptors)
            async with asyncio.timeout(timeout_s):
                reply = await future
        finally:
            self._questions.pop(number, None)
        if reply.error is not None:
            raise Refused(reply)
        return reply.answer

    @property
    def questions(self) -> int:
        return len(self._questions)

    async def end(self, reason: EndReason, *, grace_s: float) -> Exit:
        """Asks the process to leave, and makes it leave after `grace_s`. Returns when it is gone."""
        if self.exit is None:
            try:
                self.tell({"op": "end", "reason": reason})
            except ChildGone:
                self.kill()
        return await self.leave(grace_s=grace_s)

    async def leave(self, *, grace_s: float) -> Exit:
        """Waits for the process to leave by itself, and makes it leave after `grace_s`."""
        while self.exit is None:
            try:
                async with asyncio.timeout(grace_s):
                    return await self.until_gone()
            except TimeoutError:
                self._log.warning("sigkill", session=self.session, pid=self.pid, grace_s=grace_s)
                self.kill()
        return self.exit

    def kill(self) -> None:
        self._kill_me = True
        if self.process:
            self.process.kill()

    def _heard(self, message: Said | Reply) -> None:
        match message:
            case Reply():
                future = self._questions.get(message.reply)
                if future and not future.done():
                    future.set_result(message)
                return
            case Loaded() | Failed():
                self._started(self, message)
                return
            case Ready():
                self.ready = True
                self._wake()
        if self.listener:
            self.listener.heard(message)

    def _nonsense(self, what: str) -> None:
        self._log.error("wire", session=self.session, process=self.name, error=what)

    def _closed(self) -> None:
        for future in self._questions.values():
            if not future.done():
                future.set_exception(ChildGone("the process closed its channel"))
        if self.exit is None:
            asyncio.get_running_loop().call_later(CLOSED_GRACE_S, self.kill)
        self._wake()

    async def _watch(self, process: Process) -> None:
        await process.gone.wait()
        if process.code is not None:
            code = process.code
            self._finish(Exit(code=code) if code >= 0 else Exit(signal=-code))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OBITUARY_S):
                while self._obituary is None:
                    await self._next()
        self._finish(self._obituary or Exit())

    def _finish(self, exit: Exit) -> None:
        if self.exit is not None:
            return
        # What it said last, before what it was.
        self._channel.drain()
        self.exit = exit
        self._channel.close()
        self._output.close()
        self._wake()
        if self.listener:
            self.listener.gone(exit)

    def _wake(self) -> None:
        self._changed.set()

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Refused(Exception):
    """The process answered with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.error)
        self.kind = reply.kind
        self.said = reply.error or ""
