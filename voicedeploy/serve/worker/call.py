"""The process of one call: waits warm, carries one session, and ends, whatever the bot or the client does."""

import asyncio
import atexit
import os
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from . import process
from .config import Config, Session
from .failure import describe, main_thread, stuck, waiting
from .latency import pipelines
from .load import Bot
from .log import log
from .transports import Rejected, State, Transport, make
from .wire import Channel, Closed, Message

# After hanging up: for the bot's own handler of a client that left, then for its cancellation. Together below
# the front's grace, which ends in SIGKILL.
LEAVE_S = 1.5
CANCEL_S = 2.0
HANG_UP_S = 1.0
END_S = LEAVE_S + CANCEL_S + HANG_UP_S

# A bot whose pipeline is over may still write its notes; one that has none to finish is cancelled after LEAVE_S.
NOTES_S = 30.0

# A loop that stands still sends no audio and answers no STUN: the call is lost long before.
STALLED_WARN_S = 5
STALLED_S = 20

EXIT_FORCED = 70


def live(channel: Channel, bot: Bot, config: Config, *, forked: bool) -> NoReturn:
    if forked:
        os.setpgid(0, 0)
        process.set_name("vd-call")
        _reseed()
    process.widen_log()
    process.prefer_for_oom()
    loop = _fast_loop() if config.tuned else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    call = Call(channel, bot, config.project)
    try:
        loop.run_until_complete(call.run())
    except BaseException as error:
        # Not the bot's own coroutine, which is looked after: a task of its that asks the process to exit.
        failed = describe(error, config.project)
        log(failed["traceback"])
        channel.send({"event": "bot", "state": "failed", **failed})
        leave(1)
    leave(0)


def leave(code: int) -> NoReturn:
    """Ends the process now: threads of codecs and executors are not waited for."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


def _fast_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where the bot has it, as under Pipecat's own runner, whose server then chooses it too."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _reseed() -> None:
    # Python's own generators notice a fork; numpy's global one does not.
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()


class Call:
    def __init__(self, channel: Channel, bot: Bot, project: Path) -> None:
        self._channel = channel
        self._bot = bot
        self._project = project
        self._transport: Transport | None = None
        self._idle_s: float | None = None
        self._state: State | None = None
        self._running: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Comes back when the call is over and the process may end."""
        self._watch = Watch(self._channel, asyncio.get_running_loop(), self._on_message, self._project)
        pipelines.report = self._channel.send
        self._watch.start()
        self._channel.send({"event": "ready"})
        await self._over.wait()
        self._watch.deadline(CANCEL_S)
        atexit._run_exitfuncs()

    # What the front says

    def _on_message(self, message: Message) -> None:
        match message.get("op"):
            case "session":
                self._begin(Session.from_message(message))
            case "end":
                log(f"the call is ended: {message.get('reason', '')}")
                self._end()
            case _ if "id" in message:
                self._spawn(self._reply(message))

    def _begin(self, session: Session) -> None:
        process.come_first()
        if session.cpu is not None:
            process.stay_on(session.cpu)
        if session.memory is not None:
            process.limit_memory(session.memory)
        self._idle_s = session.idle_s
        self._transport = make(session, self)

    async def _reply(self, question: Message) -> None:
        reply: Message = {"reply": question["id"]}
        try:
            if self._transport is None:
                raise Rejected("failed", "no session has been begun")
            reply["answer"] = await self._transport.ask(question)
        except Rejected as error:
            reply |= {"error": str(error), "kind": error.kind}
        except Exception as error:
            log(describe(error, self._project)["traceback"])
            reply |= {"error": f"{type(error).__name__}: {error}", "kind": "failed"}
        self._channel.send(reply)

    # What the transport says

    def start(self, runner_args: Any) -> None:
        if self._running is None:
            if self._idle_s is not None:
                runner_args.pipeline_idle_timeout_secs = self._idle_s
            # After the answer is on its way: the client's checks and the bot's set-up then run side by side.
            asyncio.get_running_loop().call_soon(self._start, runner_args)

    def _start(self, runner_args: Any) -> None:
        self._running = asyncio.create_task(self._run_bot(runner_args))

    def state(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._channel.send({"event": "state", "state": state})

    def gone(self) -> None:
        self.state("disconnected")
        self._end_after(self._let_leave())

    # The bot

    async def _run_bot(self, runner_args: Any) -> None:
        self._channel.send({"event": "bot", "state": "started"})
        how: Message = {"state": "finished"}
        try:
            await self._bot(runner_args)
        except asyncio.CancelledError:
            log("the bot was cancelled")
        except BaseException as error:
            if not isinstance(error, SystemExit) or error.code:
                failed = describe(error, self._project)
                log(f"the bot failed:\n{failed['traceback']}")
                how = {"state": "failed", **failed}
        self._channel.send({"event": "bot", **how})
        self._end_after(self._finish(0))

    # The end

    def _end(self) -> None:
        """On the front's word; its patience is bounded."""
        if self._ending:
            self._ending.cancel()
        self._watch.deadline(END_S)
        self._ending = asyncio.create_task(self._finish(LEAVE_S))

    def _end_after(self, work: Coroutine[Any, Any, None]) -> None:
        if self._ending or self._over.is_set():
            work.close()
            return
        self._ending = asyncio.create_task(work)

    async def _let_leave(self) -> None:
        await self._hang_up()
        if self._running:
            await asyncio.wait([self._running], timeout=LEAVE_S)
            if not self._running.done() and pipelines.over:
                await asyncio.wait([self._running], timeout=NOTES_S)
        self._watch.deadline(END_S)
        await self._finish(0)

    async def _finish(self, patience_s: float) -> None:
        await self._hang_up()
        bot = self._running
        if bot and not bot.done():
            if patience_s:
                await asyncio.wait([bot], timeout=patience_s)
            bot.cancel()
            await asyncio.wait([bot], timeout=CANCEL_S)
            if not bot.done():
                self._watch.force("the bot did not end when it was cancelled", waiting(bot))
        self._over.set()

    async def _hang_up(self) -> None:
        if self._transport:
            try:
                await asyncio.wait_for(self._transport.close(), HANG_UP_S)
            except Exception as error:
                log(f"hanging up: {error!r}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Watch(threading.Thread):
    """Reads what the front says, and ends a process whose loop cannot end it.

    A thread of its own, because a bot may block the loop: then the end of the channel, the front's `end` and
    the deadline would never be noticed there.
    """

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop, handle: Any, project: Path) -> None:
        super().__init__(name="voicedeploy", daemon=True)
        self._channel = channel
        self._loop = loop
        self._handle = handle
        self._project = project
        self._deadline: float | None = None
        self._beats = 0

    def deadline(self, seconds: float) -> None:
        """The process ends in `seconds` at the latest; an earlier deadline stays."""
        at = time.monotonic() + seconds
        self._deadline = min(at, self._deadline or at)

    def force(self, error: str, frames: list[FrameType]) -> NoReturn:
        where = stuck(frames, self._project)
        log(f"{error}\n{where['traceback']}")
        self._channel.send({"event": "bot", "state": "failed", "error": error, **where})
        leave(EXIT_FORCED)

    def run(self) -> None:
        self._loop.call_soon_threadsafe(self._beat)
        seen, standing = -1, 0
        while True:
            patience = 1.0
            if self._deadline is not None:
                patience = max(0.0, min(patience, self._deadline - time.monotonic()))
            before = time.monotonic()
            try:
                messages = self._channel.receive(patience)
            except Closed:
                leave(0)
            for message in messages:
                if message.get("op") == "end":
                    self.deadline(END_S)
                if count := message.get("descriptors"):
                    message["descriptors"] = self._channel.descriptors(count)
                self._loop.call_soon_threadsafe(self._handle, message)
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self.force("the bot did not let the process end", main_thread())
            if self._beats != seen:
                seen, standing = self._beats, 0
            elif not messages and time.monotonic() - before > 0.9:
                # Counted in turns of this thread, not by the clock: a machine may have slept.
                standing += 1
                self._complain(standing)

    def _complain(self, standing: int) -> None:
        if standing == STALLED_WARN_S:
            where = stuck(main_thread(), self._project)
            log(f"the bot has blocked its event loop for {standing} s\n{where['traceback']}")
        if standing >= STALLED_S:
            self.force(f"the bot has blocked its event loop for {standing} s", main_thread())

    def _beat(self) -> None:
        self._beats += 1
        self._loop.call_later(1, self._beat)
