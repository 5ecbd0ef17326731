"""Signed tokens that let somebody start a call: see docs/decisions/0004-who-may-start-a-bot.md."""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["invite", "start"]

START_TTL_S = 60
LONGEST_INVITE_S = 366 * 24 * 3600
LONGEST_TOKEN = 512
# A spent token is remembered until it expires. More than this many calls in a minute no machine starts.
SPENT_AT_MOST = 100_000

_CONTEXT = b"voicedeploy token v1\0"


class InvalidToken(Exception):
    """`code` is `bad-token`, `token-expired` or `token-spent`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Token:
    kind: Kind
    expires: float
    nonce: str


class Tokens:
    """Mints, reads and spends tokens under one API key."""

    def __init__(self, key: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key = key.encode()
        # Tokens are signed by a key derived from the API key, never by what a client sends as a bearer.
        self._signing = hmac.digest(self._key, _CONTEXT + b"signing", hashlib.sha256)
        self._clock = clock
        self._spent: dict[str, float] = {}

    def is_key(self, bearer: str) -> bool:
        """In constant time."""
        return hmac.compare_digest(bearer.encode(), self._key)

    def line(self) -> str:
        """What stands in the address of a line: good until the key is replaced."""
        return _encode(hmac.digest(self._signing, _CONTEXT + b"line", hashlib.sha256))

    def is_line(self, text: str) -> bool:
        """In constant time."""
        return hmac.compare_digest(text.encode(), self.line().encode())

    def mint(self, kind: Kind, ttl_s: int = START_TTL_S) -> str:
        payload = {"k": kind, "e": int(self._clock()) + ttl_s, "n": secrets.token_urlsafe(12)}
        head = _encode(json.dumps(payload, separators=(",", ":")).encode())
        return f"{head}.{_encode(self._sign(head))}"

    def read(self, text: str) -> Token:
        """Raises `InvalidToken`; whether a start token is spent is also looked at."""
        head, _, signature = text.partition(".")
        if len(text) > LONGEST_TOKEN or not hmac.compare_digest(signature.encode(), _encode(self._sign(head)).encode()):
            raise InvalidToken("bad-token", "this is not a token of this front")
        # Signed by us: it is what we wrote.
        payload = json.loads(_decode(head))
        token = Token(kind=payload["k"], expires=payload["e"], nonce=payload["n"])
        if token.expires <= self._clock():
            raise InvalidToken("token-expired", "the token has expired")
        if token.nonce in self._spent:
            raise InvalidToken("token-spent", "the token has been used")
        return token

    def spend(self, token: Token) -> None:
        """To be called with no `await` since `read`. Raises `InvalidToken` if no more can be remembered."""
        now = self._clock()
        if len(self._spent) >= SPENT_AT_MOST:
            self._spent = {nonce: expires for nonce, expires in self._spent.items() if expires > now}
        if len(self._spent) >= SPENT_AT_MOST:
            raise InvalidToken("bad-token", "too many tokens were used in the last minute")
        # They expire in the order of their minting, nearly: the old ones stand first.
        for nonce in list(itertools.islice(self._spent, 2)):
            if self._spent[nonce] <= now:
                del self._spent[nonce]
        self._spent[token.nonce] = token.expires

    def unspend(self, token: Token) -> None:
        self._spent.pop(token.nonce, None)

    def _sign(self, head: str) -> bytes:
        return hmac.digest(self._signing, _CONTEXT + head.encode(), hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
