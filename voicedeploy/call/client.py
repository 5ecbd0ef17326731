"""One real call, from `POST /start` to hanging up."""

import asyncio
import functools
import gc
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from voicedeploy.call.account import Account, Clock
from voicedeploy.call.callee import Callee
from voicedeploy.call.conversation import Conversation
from voicedeploy.call.lines import Line, open_line
from voicedeploy.call.options import CallOptions
from voicedeploy.call.room import ROOMS, attend
from voicedeploy.call.run import Failure, Run
from voicedeploy.call.script import Script
from voicedeploy.call.signalling import ASSUMED, CallFailed, Signalling, Started, transport_of

Tell = Callable[[str], None]
"""Told in a few words how far the call is."""


async def call(
    target: Callee,
    script: Script,
    options: CallOptions | None = None,
    *,
    progress: Tell | None = None,
) -> Run:
    """Calls once and never raises for what the target does: the run says which layer failed.

    `ok` means: connected, and at least one turn was answered (or, with an empty script, a greeting was heard). A
    bot that talks over the caller, an echo for one, was heard too, though nothing can be timed.
    """
    options = await settled(target, options or CallOptions())
    await warm_up(options.transport)
    return await place(target, script, options, progress)


async def settled(target: Callee, options: CallOptions) -> CallOptions:
    """With the transport of the call: the one that was chosen, else what the front says that it speaks.

    Who may have to wait for a cold bot is as patient: for `/start`, or where no `/start` is, on the socket itself.
    """
    options = options if options.transport else replace(options, transport=await transport_of(target))
    cold_s = target.way.cold_s if target.way else 0.0
    options = replace(options, http_timeout_s=max(cold_s, options.http_timeout_s))
    if options.transport == ASSUMED:
        return options
    return replace(
        options,
        connect_timeout_s=max(cold_s, options.connect_timeout_s),
        greeting_timeout_s=max(cold_s, options.greeting_timeout_s),
    )


async def warm_up(transport: str = ASSUMED) -> None:
    """Everything that the first call of a process would pay for."""
    if transport == ASSUMED:
        from voicedeploy.call.lines import webrtc

        await webrtc.warm_up()
    elif transport not in ROOMS:
        import voicedeploy.call.lines.socket.wires  # noqa: F401
    _keep_what_is_there()


@functools.cache
def _keep_what_is_there() -> None:
    """A search for garbage through all that was imported takes 50 ms, in which nothing is heard: it is done before."""
    gc.collect()
    gc.freeze()


async def place(target: Callee, script: Script, options: CallOptions, progress: Tell | None) -> Run:
    """A call from a process that is warm, with options that are settled."""
    if target.way and target.way.closed:
        return Run(ok=False, started_at=_now(), error=Failure("signalling", target.way.closed, target.way.hint))
    if options.transport in ROOMS:
        return await attend(target, options, _now())
    try:
        line = open_line(options.transport or ASSUMED, target, options)
    except CallFailed as why:
        return Run(ok=False, started_at=_now(), error=why.failure)
    return await along(line, target, script, options, progress)


async def along(line: Line, target: Callee, script: Script, options: CallOptions, progress: Tell | None = None) -> Run:
    """A call on this line, which it closes."""
    line.rehearse(script)
    return await _Call(target, line, script, options, progress or (lambda _: None)).run(_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class _Call:
    def __init__(self, target: Callee, line: Line, script: Script, options: CallOptions, progress: Tell) -> None:
        self._target = target
        self._line = line
        self._options = options
        self._progress = progress
        self._conversation = Conversation(line, script, options, progress)
        self._clock = Clock(time.monotonic())
        self._started: Started | None = None

    async def run(self, began_at: str) -> Run:
        signalling = Signalling(self._target, timeout_s=self._options.http_timeout_s)
        failure: Failure | None = None
        try:
            await self._connect(signalling)
            await self._talk()
        except CallFailed as why:
            failure = why.failure
            if self._started and self._started.session_id and self._line.moments.dtls is None:
                await signalling.abandon(self._started.session_id)
        finally:
            self._clock.hung_up = time.monotonic()
            self._clock.connect_s = signalling.connect_s
            run = self._account().run(failure, began_at)
            await self._line.close()
            await signalling.close()
        return run

    async def _connect(self, signalling: Signalling) -> None:
        self._started = await self._start(signalling)
        self._clock.started = time.monotonic()
        await self._line.connect(self._started, signalling)
        self._progress("connected")

    async def _start(self, signalling: Signalling) -> Started:
        """Asks until the front has room or patience ends; a token is bought anew for each try, as the page does."""
        clock = self._clock
        deadline = time.monotonic() + self._options.busy_wait_s
        while True:
            before = time.monotonic()
            # Carriers show who they are themselves.
            shows_key = not self._options.webhook and not self._target.stream(self._options.transport)
            if shows_key:
                await signalling.authorize()
            clock.start_sent = time.monotonic()
            clock.first_try = clock.first_try or clock.start_sent
            clock.token_s = clock.start_sent - before if shows_key else None
            try:
                return await self._line.start(signalling)
            except CallFailed as why:
                left = deadline - time.monotonic()
                if why.retry_after_s is None or left <= 0:
                    raise
                self._progress("busy: waiting for a free slot")
                await asyncio.sleep(min(why.retry_after_s, left))

    async def _talk(self) -> None:
        await self._conversation.hold(since=self._clock.start_sent or 0.0)
        if not self._conversation.convincing:
            raise CallFailed(self._account().silence())

    def _account(self) -> Account:
        session = self._started.session_id if self._started else None
        bought = bool(self._target.key or self._target.invite)
        return Account(self._line, self._conversation.spoken, self._clock, session, bought=bought)
