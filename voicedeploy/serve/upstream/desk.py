"""A call that comes in by phone is led to the platform's own socket, which is always the same."""

from collections.abc import Awaitable, Callable

from voicedeploy.serve.phone.carrier import Ring
from voicedeploy.serve.phone.desk import Decision, Lead, Over
from voicedeploy.serve.upstream.front import UpstreamFront


class UpstreamDesk:
    """Whether an agent is free there, nobody is told: none is kept on hold."""

    def __init__(self, front: UpstreamFront) -> None:
        self._front = front

    async def decide(self, ring: Ring, since: int | None, gone: Callable[[], Awaitable[bool]]) -> Decision:
        if ring.over:
            return self.note(ring)
        front, upstream = self._front, self._front.config.upstream
        front.metrics.started.inc()
        front.log.info("phone-call", call=ring.call_id, upstream=upstream.name)
        return Lead(upstream.line, upstream.parameters)

    def note(self, ring: Ring) -> Over:
        return Over()
