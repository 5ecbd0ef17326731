"""`POST /phone`: where carriers ask what to do with a call."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from voicedeploy.serve.access import Doorkeeper, Grant
from voicedeploy.serve.body import read_body
from voicedeploy.serve.config import FrontConfig, secrets_of
from voicedeploy.serve.log import Log
from voicedeploy.serve.outside import websocket_url
from voicedeploy.serve.phone import CARRIERS
from voicedeploy.serve.phone.carrier import Carrier, Ring, Voice, Webhook
from voicedeploy.serve.phone.desk import Connect, Decision, Hold, Lead, Over, Sorry
from voicedeploy.serve.phone.document import CONTENT_TYPE, document
from voicedeploy.serve.refusal import Refusal

LARGEST_WEBHOOK = 64 << 10


class Decides(Protocol):
    """What becomes of a call: see `desk.Desk`."""

    async def decide(self, ring: Ring, since: int | None, gone: Callable[[], Awaitable[bool]]) -> Decision: ...

    def note(self, ring: Ring) -> Over: ...


class Phone:
    """The webhook of one carrier."""

    def __init__(self, config: FrontConfig, log: Log, door: Doorkeeper, carrier: Carrier, desk: Decides) -> None:
        self._said = config.phone
        self._log = log
        self._door = door
        self._carrier = carrier
        self._desk = desk
        self._voice = Voice(config.phone.language, config.phone.voice)
        self._secret = _secret(config, carrier)
        if not self._secret:
            log.error("phone-closed", missing=carrier.SIGNING_SECRET, hint="every call is refused")

    def routes(self) -> list[Route]:
        return [
            Route("/phone", self.answer, methods=["POST"]),
            Route("/phone/hold/{since}", self.answer, methods=["POST"]),
            Route("/phone/status", self.status, methods=["POST"]),
        ]

    async def answer(self, request: Request) -> Response:
        """A carrier asks what to do with a call."""
        ring, outside = await self._ring(request)
        decision = await self._desk.decide(ring, _since(request), request.is_disconnected)
        return _xml(self._document(decision, ring, outside))

    async def status(self, request: Request) -> Response:
        """A carrier says how a call is."""
        ring, outside = await self._ring(request)
        return _xml(self._document(self._desk.note(ring), ring, outside))

    async def _ring(self, request: Request) -> tuple[Ring, str]:
        """The call, and this front's address as the carrier knows it. Raises `Refusal`."""
        body = await read_body(request, most=LARGEST_WEBHOOK)
        outside = self._door.outside(request)
        webhook = Webhook(f"{outside}{_target(request)}", request.headers, body)
        self._recognise(request, webhook)
        ring = self._carrier.ring(webhook.form)
        if ring is None:
            raise Refusal(400, "bad-request", "the form names no call")
        return ring, outside

    def _recognise(self, request: Request, webhook: Webhook) -> None:
        """Lets the carrier and holders of the key in. Raises `Refusal`."""
        if not self._secret:
            raise Refusal(
                503,
                "no-signing-secret",
                f"{self._carrier.SIGNING_SECRET} is not set: no request can be told from a stranger's",
                hint=f"voicedeploy secrets set {self._carrier.SIGNING_SECRET}, then `voicedeploy up`",
            )
        if self._carrier.signed(self._secret, webhook):
            return
        caller = self._door.caller(request)
        if caller.grant is Grant.KEY:
            return
        self._door.tried(caller)
        self._log.warning("phone-unsigned", address=caller.address, url=webhook.url)
        raise Refusal(
            403,
            "bad-signature",
            "the carrier has not signed this request",
            hint="the front's log says for which address; see docs/guide/phone.md",
        )

    def _document(self, decision: Decision, ring: Ring, outside: str) -> bytes:
        carrier, voice, said = self._carrier, self._voice, self._said
        match decision:
            case Connect(session_id):
                # Carriers take nothing but wss, whatever the last stretch to this front is.
                socket = websocket_url(f"https://{outside.partition('://')[2]}", session_id)
                return carrier.connect(socket, ring, voice, said.greeting)
            case Lead(socket, parameters):
                return carrier.connect(socket, ring, voice, said.greeting, parameters)
            case Hold(since):
                return carrier.hold(f"{outside}/phone/hold/{since}", voice, said.hold)
            case Sorry():
                return carrier.refuse(voice, said.sorry)
            case Over():
                return document()


def phone(config: FrontConfig, log: Log, door: Doorkeeper, desk: Callable[[], Decides]) -> Phone | None:
    """None where the transport has no webhook."""
    carrier = CARRIERS.get(config.transport.kind)
    return Phone(config, log, door, carrier, desk()) if carrier else None


def _secret(config: FrontConfig, carrier: Carrier) -> str:
    return secrets_of(config).get(carrier.SIGNING_SECRET, "").strip()


def _xml(text: bytes) -> Response:
    return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


def _since(request: Request) -> int | None:
    """When a caller on hold began to wait, as its first answer said."""
    text = str(request.path_params.get("since", ""))
    return int(text) if text.isdecimal() and len(text) < 12 else None


def _target(request: Request) -> str:
    """The path and what follows it, as they were written."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string", b"")
    return (raw.partition(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")
