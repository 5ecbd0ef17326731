"""Who asks, and what that lets them do: see docs/decisions/0004-who-may-start-a-bot.md."""

from dataclasses import dataclass
from enum import Enum

from starlette.requests import Request

from voicedeploy.serve.config import Access
from voicedeploy.serve.origins import address, networks, never_left
from voicedeploy.serve.outside import base_url
from voicedeploy.serve.rate import WINDOW_S, Rate
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.tokens import InvalidToken, Token, Tokens

# Requests that may fail, per allowed start: a page that waits for a slot asks twice every five seconds.
TRIES_PER_START = 6
TRIES_AT_LEAST = 60


class Grant(Enum):
    KEY = "key"
    INVITE = "invite"
    START = "start"
    LOCAL = "local"
    """No token, but the one open default: a request that never left this machine."""
    NONE = "none"


@dataclass(frozen=True)
class Caller:
    address: str
    grant: Grant
    token: Token | None = None

    @property
    def limited(self) -> bool:
        return self.grant not in (Grant.KEY, Grant.LOCAL)


class Doorkeeper:
    """Tells callers apart, and counts what each address does. Every `may_…` raises `Refusal`."""

    def __init__(self, access: Access, tokens: Tokens) -> None:
        self._access = access
        self._tokens = tokens
        self._trusted = networks(access.trusted_proxies)
        limit = access.starts_per_minute
        self._starts = Rate(limit)
        self._tries = Rate(max(TRIES_AT_LEAST, TRIES_PER_START * limit) if limit else 0)

    def outside(self, request: Request) -> str:
        """This front's address as the caller knows it."""
        return base_url(request, self._access.public_url, self._trusted)

    def caller(self, request: Request) -> Caller:
        """Raises `Refusal` for credentials that are none."""
        if request.scope.get("private"):
            return Caller("unix", Grant.KEY)
        peer = request.client.host if request.client else ""
        where = address(peer, ",".join(request.headers.getlist("x-forwarded-for")), self._trusted)
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if not bearer:
            local = self._access.open_on_loopback and never_left(peer, request.headers)
            return Caller(where, Grant.LOCAL if local else Grant.NONE)
        if scheme.lower() != "bearer":
            raise Refusal(401, "unauthorized", "only Bearer credentials are known here")
        if self._tokens.is_key(bearer.strip()):
            return Caller(where, Grant.KEY)
        self._try(where)
        try:
            token = self._tokens.read(bearer.strip())
        except InvalidToken as error:
            raise Refusal(401, error.code, error.message, hint="ask for a new one") from error
        return Caller(where, Grant.START if token.kind == "start" else Grant.INVITE, token)

    def may_govern(self, caller: Caller) -> None:
        if caller.grant is not Grant.KEY:
            self._refuse(caller, "the API key opens this")

    def may_mint(self, caller: Caller) -> None:
        """Start tokens. Invites are for `may_govern`."""
        if caller.grant in (Grant.KEY, Grant.INVITE, Grant.LOCAL):
            return
        if not self._access.public:
            self._refuse(caller, "an invite or the API key opens this")
        self._try(caller.address)

    def may_start(self, caller: Caller) -> None:
        if caller.grant not in (Grant.KEY, Grant.START, Grant.LOCAL):
            self._refuse(caller, "a start token or the API key opens this")
        if caller.limited and (wait := self._starts.wait_s(caller.address)):
            raise Refusal(
                429,
                "too-many-starts",
                f"{self._access.starts_per_minute} calls a minute and address can be started",
                retry_after_s=wait,
            )

    def started(self, caller: Caller) -> None:
        """A call was started: the token is spent and the start counted. To be called with no `await` since
        `caller`. Raises `Refusal`."""
        if caller.token:
            try:
                self._tokens.spend(caller.token)
            except InvalidToken as error:
                raise Refusal(503, "busy", error.message, retry_after_s=5) from error
        if caller.limited:
            self._starts.count(caller.address)

    def not_started(self, caller: Caller) -> None:
        """It came to nothing: the token is good again. The start stays counted."""
        if caller.token:
            self._tokens.unspend(caller.token)

    def tried(self, caller: Caller) -> None:
        """Counts a request that proved nothing. Raises `Refusal` where its address has sent too many."""
        self._try(caller.address)

    def _refuse(self, caller: Caller, message: str) -> None:
        self._try(caller.address)
        raise Refusal(
            401, "unauthorized", message, hint="send `Authorization: Bearer …`; POST /token makes start tokens"
        )

    def _try(self, where: str) -> None:
        if wait := self._tries.wait_s(where):
            raise Refusal(429, "too-many-requests", f"too many requests in {WINDOW_S:.0f} s", retry_after_s=wait)
        self._tries.count(where)
