"""One call: it holds a slot from its start until its process is gone, whatever bot and client do."""

import asyncio
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from voicedeploy.serve.child import Child, ChildGone, Exit
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.log import Log
from voicedeploy.serve.memory import private_bytes
from voicedeploy.serve.metrics import SEGMENTS, Metrics
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.wire import BotState, EndReason, FirstWord, Latency, Said, State

Reason = Literal[
    "bot-finished",
    "bot-failed",
    "client-left",
    "max-duration",
    "memory",
    "killed",
    "no-offer",
    "no-connection",
    "not-started",
    "drain",
]

_SAID: dict[Reason, EndReason] = {"max-duration": "max_duration", "memory": "memory", "drain": "drain"}

# From the slot to a process that is ready: a spawned one loads the whole bot.
READY_TIMEOUT_S = 60.0
MEMORY_POLL_S = 1.0
# A process that grows this far past its limit is not asked any more.
MEMORY_TOO_FAST = 1.25
# Questions (offers, candidates) of one call that may wait for an answer at the same time.
QUESTIONS_AT_MOST = 8


@dataclass(frozen=True)
class Slot:
    """A place for one call: its number and the UDP ports it tries, its own first."""

    number: int
    udp_ports: tuple[int, ...]


@dataclass(frozen=True)
class Ended:
    """Why a call ends. `by_itself`: its process needs no word to leave."""

    reason: Reason
    detail: str = ""
    by_itself: bool = False


class Session:
    """`live` runs it from start to end; the other methods tell it what happened."""

    def __init__(
        self,
        id: str,
        slot: Slot,
        child: Child,
        *,
        config: FrontConfig,
        transport: str,
        body: JsonValue,
        ice_servers: list[dict[str, Any]],
        bot_servers: list[dict[str, Any]],
        core: int | None,
        log: Log,
        metrics: Metrics,
    ) -> None:
        self.id = id
        self.slot = slot
        self.child = child
        self.core = core
        self.transport = transport
        self.ice_servers = ice_servers
        self._bot_servers = bot_servers
        self.started_at = datetime.datetime.now(datetime.UTC)
        self.state = "starting"
        self.pc_id = ""
        self._config = config
        self._body = body
        self._log = log
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._deadlines: dict[Reason, float] = {}
        self._prepared = asyncio.Event()
        self._woken = asyncio.Event()
        self._verdict: Ended | None = None
        self._client_left = False
        self._first_answer = True
        child.session = id
        child.listener = self
        limits = config.session
        self._deadlines["max-duration"] = self._begun + limits.max_duration_s
        self._deadlines["no-offer"] = self._begun + limits.offer_timeout_s

    async def live(self) -> Ended:
        """Returns when the process is gone."""
        watchdog = asyncio.create_task(self._watch_memory())
        preparing = asyncio.create_task(self._prepare())
        try:
            verdict = await self._until_verdict()
            self.state = "ending"
            exit = await self._finish(verdict)
        finally:
            for task in (watchdog, preparing):
                task.cancel()
            await asyncio.wait([watchdog, preparing])
        self._report(verdict, exit)
        return verdict

    def end(self, reason: Reason, detail: str = "", *, by_itself: bool = False) -> None:
        """The first one counts."""
        if self._verdict is None:
            self._verdict = Ended(reason, detail, by_itself)
            self._woken.set()

    def heard(self, message: Said) -> None:
        match message:
            case State():
                self._connection(message.state)
            case BotState(state="started"):
                self._log.info("bot-started", session=self.id)
            case BotState(state="failed"):
                fields = message.model_dump(include={"error", "where", "traceback"})
                self._log.error("bot-failed", session=self.id, **fields)
                self.end("bot-failed", message.error, by_itself=True)
            case BotState(state="finished"):
                self.end("client-left" if self._client_left else "bot-finished", by_itself=True)
            case FirstWord():
                self._metrics.first_word.observe(message.ms / 1000)
                self._log.info("first-word", session=self.id, ms=message.ms)
            case Latency():
                self._latency(message)

    def gone(self, exit: Exit) -> None:
        if self.state == "starting":
            self.end("not-started", str(exit))
        elif exit.signal is not None or exit.code is None:
            # Nobody is left to say how, if its parent went too.
            self.end("killed", str(exit))
        elif exit.code:
            self.end("bot-failed", str(exit))
        else:
            self.end("bot-finished", str(exit))

    @property
    def awaited(self) -> bool:
        """Whether its client has still to come."""
        return self._verdict is None and "no-offer" in self._deadlines

    @property
    def verdict(self) -> Ended | None:
        """Why it ends, as soon as that is clear."""
        return self._verdict

    async def reach(self, question: dict[str, Any], *, timeout_s: float, descriptors: Sequence[int] = ()) -> JsonValue:
        """What the call's process says to its client's first word, whatever the transport calls that.

        Raises `ChildGone`, child's `Refused`, `TimeoutError`, `Refusal`.
        """
        async with asyncio.timeout(timeout_s):
            await self._until_prepared()
            if self._verdict:
                raise ChildGone
            self._not_too_many()
            if self._deadlines.pop("no-offer", None):
                self.state = "connecting"
                self._deadlines["no-connection"] = self._loop.time() + self._config.session.connect_timeout_s
                self._woken.set()
            return await self.child.ask(question, timeout_s=timeout_s, descriptors=descriptors)

    async def offer(self, question: dict[str, Any], *, timeout_s: float) -> dict[str, JsonValue]:
        """The answer to a client's offer. Raises as `reach` does."""
        began = self._loop.time()
        answer = await self.reach({"op": "offer", **question}, timeout_s=timeout_s)
        if not isinstance(answer, dict):
            raise Refusal(502, "bot-failed", "the bot's process gave no answer to the offer")
        if self._first_answer:
            self._first_answer = False
            self._metrics.offer.observe(self._loop.time() - began)
        self.pc_id = str(answer.get("pc_id") or self.pc_id)
        self._log.info("offer", session=self.id, answered_ms=round((self._loop.time() - began) * 1000, 1))
        return answer

    async def candidates(self, question: dict[str, Any], *, timeout_s: float) -> None:
        """Raises as `reach` does."""
        async with asyncio.timeout(timeout_s):
            await self._until_prepared()
            self._not_too_many()
            await self.child.ask({"op": "candidates", **question}, timeout_s=timeout_s)

    def _not_too_many(self) -> None:
        if self.child.questions >= QUESTIONS_AT_MOST:
            raise Refusal(429, "too-many-requests", "this call has too many open requests", retry_after_s=1)

    async def _until_prepared(self) -> None:
        await self._prepared.wait()

    async def _prepare(self) -> None:
        """Waits for the process and gives it the call."""
        config = self._config
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self.child.until_ready()
            self.child.tell(
                {
                    "op": "session",
                    "session_id": self.id,
                    "transport": self.transport,
                    "body": self._body,
                    "ice_servers": self._bot_servers,
                    "relay_only": config.transport.relay_only,
                    "udp_ports": self.slot.udp_ports,
                    "public_ip": str(config.media.public_ip) if config.media.public_ip else None,
                    "nets": config.media.nets,
                    "bind": config.media.bind or None,
                    "cpu": self.core,
                    "memory": config.session.memory,
                    "idle_s": config.session.idle_s,
                }
            )
            if self.state == "starting":
                self.state = "waiting"
        except TimeoutError:
            self.end("not-started", f"the process was not ready within {READY_TIMEOUT_S:.0f} s")
        except ChildGone as error:
            self.end("not-started", str(error))
        finally:
            self._prepared.set()

    async def _until_verdict(self) -> Ended:
        while self._verdict is None:
            reason = min(self._deadlines, key=self._deadlines.__getitem__)
            self._woken.clear()
            try:
                async with asyncio.timeout_at(self._deadlines[reason]):
                    await self._woken.wait()
            except TimeoutError:
                if self._deadlines.get(reason, self._loop.time() + 1) <= self._loop.time():
                    self.end(reason)
        return self._verdict

    async def _finish(self, verdict: Ended) -> Exit:
        grace_s = self._config.session.grace_s
        if verdict.by_itself:
            return await self.child.leave(grace_s=grace_s)
        return await self.child.end(_SAID.get(verdict.reason, "client"), grace_s=grace_s)

    def _connection(self, state: str) -> None:
        self._log.info("state", session=self.id, state=state)
        if state == "connected":
            self.state = "connected"
            self._client_left = False
            self._deadlines.pop("no-connection", None)
            self._deadlines.pop("client-left", None)
        elif state == "joined":
            # The bot is in its room; a person takes longer than a peer connection.
            self.state = "joined"
            self._deadlines["no-connection"] = self._loop.time() + self._config.session.join_timeout_s
        elif state == "disconnected":
            self.state = "disconnected"
            self._client_left = True
            self._deadlines.pop("no-connection", None)
            self._deadlines.setdefault("client-left", self._loop.time() + self._config.session.leave_s)
        self._woken.set()

    def _latency(self, message: Latency) -> None:
        self._metrics.voice_to_voice.observe(message.voice_to_voice_ms / 1000)
        # A turn can have a segment twice: a transcript that was corrected, two rounds of tools.
        segments: dict[str, float] = {}
        for segment in message.segments[:64]:
            segments[segment.key] = round(segments.get(segment.key, 0.0) + segment.ms, 1)
        for key, ms in segments.items():
            self._metrics.segment.labels(key if key in SEGMENTS else "other").observe(ms / 1000)
        self._log.info(
            "latency",
            session=self.id,
            voice_to_voice_ms=message.voice_to_voice_ms,
            segments=segments,
        )

    async def _watch_memory(self) -> None:
        limit = self._config.session.memory
        while True:
            await asyncio.sleep(MEMORY_POLL_S)
            if self.child.pid is None:
                continue
            used = private_bytes(self.child.pid, above=limit)
            if used > limit * MEMORY_TOO_FAST:
                self.end("memory", f"{used} of {limit} bytes")
                self.child.kill()
            elif used > limit:
                self.end("memory", f"{used} of {limit} bytes")

    def _report(self, verdict: Ended, exit: Exit) -> None:
        lived = self._loop.time() - self._begun
        self._metrics.ended.labels(verdict.reason).inc()
        self._metrics.duration.observe(lived)
        if exit.cpu_s:
            self._metrics.cpu.inc(exit.cpu_s)
        fields = {"cpu_s": exit.cpu_s, "max_rss": exit.max_rss, "code": exit.code, "signal": exit.signal}
        level = self._log.info if verdict.reason in ("bot-finished", "client-left") else self._log.warning
        level(
            "ended",
            session=self.id,
            reason=verdict.reason,
            detail=verdict.detail,
            lasted_s=round(lived, 3),
            pid=self.child.pid,
            **{key: value for key, value in fields.items() if value is not None},
        )
