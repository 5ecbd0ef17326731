"""Requests to Pipecat Cloud: presented, repeated where that is safe, and their errors told apart."""

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import Any, Protocol, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from voicedeploy_providers.pipecat_cloud.api.errors import ApiError, refusal, unanswered
from voicedeploy_providers.pipecat_cloud.api.keys import PrivateKey, PublicKey
from voicedeploy_providers.pipecat_cloud.api.redact import hidden

T = TypeVar("T")
Params = Mapping[str, str | int]

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts."""
_ANSWER_S = 30.0
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Clock(Protocol):
    """The module `time`, or a test's."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def connection(key: PrivateKey | PublicKey | None, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Follows no redirect: the key would go with it. Without a key, for addresses that are signed themselves."""
    headers = {"user-agent": f"voicedeploy/{version('voicedeploy')}"}
    if key is not None:
        headers["authorization"] = key.header
    return httpx.Client(headers=headers, follow_redirects=False, transport=transport)


class Wire:
    """One base address with one key, over a connection that others share."""

    def __init__(self, client: httpx.Client, base: str, key: PrivateKey | PublicKey, clock: Clock) -> None:
        self.clock = clock
        self._client = client
        self._base = base
        self._key = key

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: Any = None,
        params: Params | None = None,
        again: bool | None = None,
        patient: bool = True,
        answer_s: float = _ANSWER_S,
    ) -> httpx.Response:
        """The answer, 2xx; any other is an `ApiError` that begins with `what`.

        What was certainly not done (429 while `patient`, never connected) is tried again. What may have been done is
        so only if it is the same twice: `again`, by default what HTTP says of `method`.
        """
        repeatable = method in _SAFE if again is None else again
        send = partial(
            self._client.request,
            method,
            self._base + path,
            json=body,
            params=params,
            timeout=httpx.Timeout(10.0, read=answer_s),
        )
        for pause in (*PAUSES, None):
            failure: ApiError
            try:
                response = send()
            except httpx.TransportError as error:
                failure = unanswered(what, f"no answer from {httpx.URL(self._base).host} ({type(error).__name__})")
                once_more = repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                if response.is_success:
                    return response
                failure = refusal(what, response, lambda text: hidden(text, body, self._key.bare))
                limited = response.status_code == 429 and patient
                once_more = limited or (repeatable and response.status_code >= 500)
            if pause is None or not once_more:
                raise failure
            self.clock.sleep(pause)
        raise AssertionError("the last attempt raises")


def read(kind: type[T], response: httpx.Response, what: str) -> T:
    """The answer as a `kind`, tolerant of more than that."""
    try:
        return TypeAdapter(kind).validate_json(response.content)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) or "the whole" for e in error.errors(include_input=False)[:3])
        raise unanswered(what, f"the answer cannot be read ({where})", response.status_code) from None
