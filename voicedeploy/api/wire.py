"""Requests to a platform: presented, repeated where that is safe, and their errors told apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Protocol, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from voicedeploy.api.authorities import trusted
from voicedeploy.api.redact import hidden
from voicedeploy.errors import VoiceDeployError

T = TypeVar("T")
Params = Mapping[str, str | int | Sequence[str]]

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts."""
_ANSWER_S = 30.0
_LOOKS = 6
_BETWEEN_S = 2.0
"""12 s in all: what platforms show is some seconds behind what was done."""
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Clock(Protocol):
    """The module `time`, or a test's."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class Unanswered(Protocol):
    """Makes a platform's error for an answer that did not come, or cannot be read."""

    def __call__(self, what: str, why: str, status: int = 0) -> VoiceDeployError: ...


@dataclass(frozen=True)
class Faults:
    """What is a platform's own in what goes wrong.

    `refusal` makes the error of what was wanted, an answer other than 2xx, and what takes out what must not be shown;
    `lost` is the kind of `unanswered`'s; `uncertain` is for what was looked for afterwards and not found. Below the
    keys `private` of a request every text may be a secret.
    """

    refusal: Callable[[str, httpx.Response, Callable[[str], str]], VoiceDeployError]
    unanswered: Unanswered
    lost: type[VoiceDeployError]
    uncertain: Callable[[str], VoiceDeployError]
    private: frozenset[str]


def connection(authorization: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Follows no redirect: the key would go with it. Without a key, for addresses that are signed themselves."""
    headers = {"user-agent": f"voicedeploy/{version('voicedeploy')}"}
    if authorization:
        headers["authorization"] = authorization
    return httpx.Client(headers=headers, follow_redirects=False, transport=transport, verify=trusted())


class Wire:
    """One base address with one key, over a connection that others share."""

    def __init__(self, client: httpx.Client, base: str, key: str, clock: Clock, faults: Faults) -> None:
        self.clock = clock
        self._client = client
        self._base = base
        self._key = key
        self._faults = faults

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool | None = None,
        patient: bool = True,
        answer_s: float = _ANSWER_S,
    ) -> httpx.Response:
        """The answer, 2xx; any other is an error of the platform that begins with `what`.

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
            headers=headers,
            timeout=httpx.Timeout(10.0, read=answer_s),
        )
        for pause in (*PAUSES, None):
            failure: VoiceDeployError
            try:
                response = send()
            except httpx.TransportError as error:
                why = f"no answer from {httpx.URL(self._base).host} ({type(error).__name__})"
                failure = self._faults.unanswered(what, why)
                once_more = repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                if response.is_success:
                    return response
                hide = partial(hidden, body=body, private=self._faults.private, secrets=(self._key,))
                failure = self._faults.refusal(what, response, hide)
                limited = response.status_code == 429 and patient
                once_more = limited or (repeatable and response.status_code >= 500)
            if pause is None or not once_more:
                raise failure
            self.clock.sleep(pause)
        raise AssertionError("the last attempt raises")

    def read(self, kind: type[T], response: httpx.Response, what: str) -> T:
        """The answer as a `kind`, tolerant of more than that."""
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            wrong = error.errors(include_input=False)[:3]
            where = ", ".join(".".join(map(str, e["loc"])) or "the whole" for e in wrong)
            why = f"the answer cannot be read ({where})"
            raise self._faults.unanswered(what, why, response.status_code) from None

    def once(self, make: Callable[[], T], find: Callable[[], T | None], what: str) -> T:
        """What `make` made. Without an answer it is never made again: it is looked for, `uncertain` if not found."""
        try:
            return make()
        except self._faults.lost as lost:
            for look in range(_LOOKS + 1):
                if look:
                    self.clock.sleep(_BETWEEN_S)
                try:
                    found = find()
                except self._faults.lost:
                    continue
                if found is not None:
                    return found
            raise self._faults.uncertain(what) from lost
