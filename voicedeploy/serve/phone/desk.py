"""What becomes of a call that comes in: a slot, a place on hold, or an apology. The same for all carriers."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from voicedeploy.serve.front import Front
from voicedeploy.serve.phone.carrier import Ring
from voicedeploy.serve.phone.queue import Queue
from voicedeploy.serve.refusal import Refusal

# Below the 15 s after which carriers give up on a webhook, less a slow network.
POLL_S = 8.0
LOOK_S = 0.1
# Calls that are known again when their webhook comes once more.
REMEMBERED = 10_000
# Reasons that pass.
PASSING = frozenset({"busy", "starting", "draining"})


@dataclass(frozen=True)
class Connect:
    session_id: str


@dataclass(frozen=True)
class Lead:
    """To a socket that is not this front's."""

    socket: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Hold:
    """To ask again. `since`: when the caller began to wait, a Unix time in seconds."""

    since: int


@dataclass(frozen=True)
class Sorry:
    reason: str


@dataclass(frozen=True)
class Over:
    """Nothing is to be done."""


Decision = Connect | Lead | Hold | Sorry | Over


class Desk:
    """One for both doors of a front."""

    def __init__(self, front: Front, *, wall: Callable[[], float] = time.time) -> None:
        self._front = front
        self._patience_s = front.config.phone.patience_s
        self._wall = wall
        self._calls: OrderedDict[str, str] = OrderedDict()
        self.queue = Queue()
        front.metrics.on_hold.set_function(lambda: len(self.queue))

    async def decide(self, ring: Ring, since: int | None, gone: Callable[[], Awaitable[bool]]) -> Decision:
        """At once for a call that is new; a caller who was on hold (`since`) is kept waiting up to `POLL_S` for a slot.

        `gone`: whether who asks has gone away. Raises `Refusal` for a call whose socket was used: somebody plays an
        old webhook again.
        """
        if ring.over:
            return self.note(ring)
        now = int(self._wall())
        asked_s = POLL_S if since is not None else 0.0
        # Signed or not, the time came from outside.
        since = now if since is None or since > now else since
        until = asyncio.get_running_loop().time() + asked_s
        with self.queue.asking(ring.call_id, since):
            while isinstance(decision := self._look(ring, since), Hold):
                if await gone():
                    break
                if asyncio.get_running_loop().time() >= until or self._front.draining:
                    return decision
                await asyncio.sleep(LOOK_S)
        self.queue.leave(ring.call_id)
        return decision

    def _look(self, ring: Ring, since: int) -> Decision:
        """Nothing is awaited here: no call takes two slots."""
        if session_id := self._calls.get(ring.call_id):
            return self._again(ring, session_id)
        free = self._front.config.pool.max - len(self._front.sessions)
        if self.queue.place(ring.call_id) < free:
            try:
                return self._admit(ring)
            except Refusal as refusal:
                if refusal.code not in PASSING:
                    self._front.log.error("phone-refused", call=ring.call_id, reason=refusal.code)
                    return Sorry(refusal.code)
        if self._wall() - since >= self._patience_s:
            self._front.log.warning("phone-gave-up", call=ring.call_id, waited_s=round(self._wall() - since))
            return Sorry("busy")
        return Hold(since)

    def _admit(self, ring: Ring) -> Connect:
        body = {"call_id": ring.call_id, "from_number": ring.from_number, "to_number": ring.to_number}
        session = self._front.admit(transport=self._front.config.transport.kind, body={**body})
        self._calls[ring.call_id] = session.id
        if len(self._calls) > REMEMBERED:
            self._calls.popitem(last=False)
        self._front.log.info("phone-call", session=session.id, call=ring.call_id)
        return Connect(session.id)

    def _again(self, ring: Ring, session_id: str) -> Connect:
        session = self._front.find(session_id)
        if session is None or not session.awaited:
            self.queue.leave(ring.call_id)
            raise Refusal(403, "replayed", "this call has had its socket")
        return Connect(session_id)

    def note(self, ring: Ring) -> Over:
        """What a carrier says about a call without asking; only its end matters."""
        if not ring.over:
            return Over()
        self.queue.leave(ring.call_id)
        session = self._front.find(self._calls.get(ring.call_id, ""))
        if session is not None and session.awaited:
            # Its socket will not come. Where it has come, its end says more than a webhook.
            session.end("client-left", "hung up before the bot answered")
        return Over()
