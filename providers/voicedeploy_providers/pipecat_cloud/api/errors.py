"""What can go wrong at Pipecat Cloud, told apart by what one does about it.

::

    ApiError
    ├── Unauthorized     (NotReady)    the key is refused
    ├── Forbidden        (NotReady)    the organization may not do this: billing, limits
    ├── NameTaken        (NotReady)    an agent or a set of this name is there already, perhaps somebody else's
    ├── NotFound         (StepFailed)
    ├── SecretsPending   (StepFailed)  the secret set is not ready yet
    ├── Changed          (StepFailed)  somebody else changed it at the same time
    ├── AtCapacity       (StepFailed)  every agent that may run is in a call
    ├── AgentNotReady    (StepFailed)  no release of the agent takes calls
    ├── BadImage         (StepFailed)  the image cannot be pulled or run
    ├── RateLimited      (StepFailed)
    ├── Refused          (StepFailed)  the request is not taken as it is
    ├── Unanswered       (StepFailed)  no answer, or none of the platform's: it may have been done or not
    ├── Uncertain        (StepFailed)  looked for afterwards, and still unknown
    ├── WaitedTooLong    (StepFailed)
    ├── BuildFailed      (StepFailed)  `log` has the last lines
    └── ReleaseFailed    (StepFailed)  the new release does not run; the one before goes on
"""

import json
from collections.abc import Callable
from typing import Any

import httpx

from voicedeploy.errors import NotReady, StepFailed, UsageError, VoiceDeployError

_ENOUGH = 300
"""So many characters of what the platform said are shown."""
_AGAIN = "`voicedeploy up` again: it looks at what is there first"


class NoKey(UsageError):
    code = "no-key"


class ApiError(VoiceDeployError):
    """`status` is HTTP's, 0 without an answer; `word` the platform's own code, as `PCC-1001`."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0, word: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.word = word


class _Step(ApiError, StepFailed):
    def __init__(
        self, message: str, *, hint: str = "", status: int = 0, word: str = "", log: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint, status=status, word=word)
        self.log = log


class Unauthorized(ApiError, NotReady): ...


class Forbidden(ApiError, NotReady): ...


class NameTaken(ApiError, NotReady): ...


class NotFound(_Step): ...


class SecretsPending(_Step): ...


class Changed(_Step): ...


class AtCapacity(_Step): ...


class AgentNotReady(_Step): ...


class BadImage(_Step): ...


class RateLimited(_Step): ...


class Refused(_Step): ...


class Unanswered(_Step): ...


class Uncertain(_Step): ...


class WaitedTooLong(_Step): ...


class BuildFailed(_Step): ...


class ReleaseFailed(_Step): ...


def unanswered(what: str, why: str, status: int = 0) -> Unanswered:
    return Unanswered(f"{what}: {why}", hint=f"see status.pipecat.daily.co, then {_AGAIN}", status=status)


def uncertain(what: str) -> Uncertain:
    return Uncertain(f"{what}: the platform did not say whether it was done, and it cannot be seen", hint=_AGAIN)


def refusal(what: str, response: httpx.Response, hide: Callable[[str], str]) -> ApiError:
    """The error that an answer other than 2xx means. `hide` takes out what must not be shown."""
    said, word = _said(response)
    kind, hint = _kind(response, said, word)
    shown = hide(said)[:_ENOUGH].strip() or f"HTTP {response.status_code}"
    return kind(f"{what}: {shown}", hint=hint, status=response.status_code, word=word)


_KEY = "make one at pipecat.daily.co → Settings → API keys"
_IMAGE = "the image must be linux/arm64, in a registry that the platform may read; or leave it to the cloud build"
_WORDS: dict[str, tuple[type[ApiError], str]] = {
    "PCC-1001": (AgentNotReady, "`voicedeploy status` says what its release is at, `voicedeploy logs` why"),
    "PCC-1002": (Unauthorized, f"the public key is missing: {_KEY}, then set PIPECAT_CLOUD_PUBLIC_KEY"),
    "PCC-1004": (Forbidden, "the organization has no way to pay yet: pipecat.daily.co → Settings → Billing"),
    "PCC-AGENT-AT-CAPACITY": (AtCapacity, "raise `pool.max`, or call again in a while"),
}
_IMAGE_WORDS = ("PCC_IMAGE_", "PCC_INVALID_IMAGE_")


def _kind(response: httpx.Response, said: str, word: str) -> tuple[type[ApiError], str]:
    low = said.lower()
    if word in _WORDS:
        return _WORDS[word]
    if word.startswith(_IMAGE_WORDS):
        return BadImage, _IMAGE
    if response.is_redirect:
        where = response.headers.get("location", "").split("?")[0]
        return Refused, f"not followed, because the key would go to {where}: check PIPECAT_API_HOST"
    match response.status_code:
        case 401:
            return Unauthorized, f"the key is refused: {_KEY}"
        case 402 | 403:
            return Forbidden, "the key is for another organization, or it may not do this; see pipecat.daily.co"
        case 404:
            return NotFound, f"it may have been removed meanwhile; {_AGAIN}"
        case 408:
            return Unanswered, _AGAIN
        case 409 if "not yet ready" in low or "not ready" in low:
            return SecretsPending, "the platform takes some seconds to store secrets; wait, then again"
        case 409:
            return Changed, f"somebody else changed it at the same time; {_AGAIN}"
        case 413:
            return Refused, "send less: a session's data may have 1 MB, over a websocket 4 KB"
        case 429:
            return RateLimited, "wait a minute, then again"
        case 400 if "already" in low or "in use" in low or ("exists" in low and "not exist" not in low):
            return NameTaken, "names are unique in all of Pipecat Cloud: choose another one"
        case status if status >= 500:
            return Unanswered, f"see status.pipecat.daily.co, then {_AGAIN}"
        case _:
            return Refused, "change what it names, then again"


def _said(response: httpx.Response) -> tuple[str, str]:
    """What an error says, and its word."""
    try:
        body: Any = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return response.text, ""
    if not isinstance(body, dict):
        return "", ""
    inner = body["error"] if isinstance(body.get("error"), dict) else body
    said = inner.get("error") or inner.get("message") or body.get("message") or ""
    return str(said), str(inner.get("code") or body.get("code") or "")
