"""A call that comes in by phone is led to the platform's own socket, which is always the same."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from voicedeploy.serve.phone.carrier import Ring
from voicedeploy.serve.phone.desk import Decision, Lead, Over
from voicedeploy.serve.upstream.front import UpstreamFront

# Twilio drops what comes after a `?`: the agent goes in a parameter (docs.pipecat.ai, Pipecat Cloud, 2026-08).
SERVICE_HOST = "_pipecatCloudServiceHost"


class UpstreamDesk:
    def __init__(self, front: UpstreamFront) -> None:
        self._front = front
        transport, line = front.config.transport.kind, front.config.upstream.line
        self._lead = _for_twilio(line) if transport == "twilio" else Lead(line, {})

    async def decide(self, ring: Ring, since: int | None, gone: Callable[[], Awaitable[bool]]) -> Decision:
        if ring.over:
            return self.note(ring)
        self._front.metrics.started.inc()
        self._front.log.info("phone-call", call=ring.call_id, upstream=self._front.config.upstream.name)
        return self._lead

    def note(self, ring: Ring) -> Over:
        return Over()


def _for_twilio(line: str) -> Lead:
    parts = urlsplit(line)
    hosts: Mapping[str, list[str]] = parse_qs(parts.query)
    named = {SERVICE_HOST: hosts["serviceHost"][0]} if "serviceHost" in hosts else {}
    return Lead(parts._replace(query="").geturl(), named)
