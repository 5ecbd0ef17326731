"""What can go wrong at Fly, told apart by what one does about it.

::

    ApiError
    ├── Unauthorized    (NotReady)    the token is refused
    ├── Forbidden       (NotReady)    the token is for something else
    ├── NameTaken       (NotReady)    an app or a machine of this name is somebody else's
    ├── LeaseHeld       (Locked)      somebody else works on this machine
    ├── NotFound        (StepFailed)
    ├── Changed         (StepFailed)  the machine is not, or no longer, in the state that this needs
    ├── NoCapacity      (StepFailed)  another region may have room
    ├── RateLimited     (StepFailed)
    ├── Refused         (StepFailed)  Fly does not take the request as it is
    ├── WaitedTooLong   (StepFailed)
    ├── Unanswered      (StepFailed)  no answer, or none of Fly's: it may have been done or not
    └── Uncertain       (StepFailed)  looked for afterwards, and still unknown
"""

import json
from collections.abc import Callable
from typing import Any

import httpx

from voicedeploy.errors import Locked, NotReady, StepFailed, UsageError, VoiceDeployError

_ENOUGH = 300
"""So many characters of what Fly said are shown."""
_AGAIN = "`voicedeploy up` again: it looks at what is there first"


class NoToken(UsageError):
    code = "no-token"


class ApiError(VoiceDeployError):
    """`status` is HTTP's, 0 without an answer; `request_id` is what Fly's support asks for."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0, request_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.request_id = request_id


class Unauthorized(ApiError, NotReady): ...


class Forbidden(ApiError, NotReady): ...


class NameTaken(ApiError, NotReady): ...


class LeaseHeld(ApiError, Locked): ...


class NotFound(ApiError, StepFailed): ...


class Changed(ApiError, StepFailed): ...


class NoCapacity(ApiError, StepFailed): ...


class RateLimited(ApiError, StepFailed): ...


class Refused(ApiError, StepFailed): ...


class WaitedTooLong(ApiError, StepFailed): ...


class Unanswered(ApiError, StepFailed): ...


class Uncertain(ApiError, StepFailed): ...


def unanswered(what: str, why: str, status: int = 0, request_id: str = "") -> Unanswered:
    return Unanswered(
        f"{what}: {why}", hint=f"see status.flyio.net, then {_AGAIN}", status=status, request_id=request_id
    )


def uncertain(what: str) -> Uncertain:
    return Uncertain(f"{what}: Fly did not say whether it was done, and it cannot be seen", hint=_AGAIN)


def refusal(what: str, response: httpx.Response, hide: Callable[[str], str]) -> ApiError:
    """The error that an answer other than 2xx means. `hide` takes out what must not be shown."""
    said, word = _said(response)
    said = hide(said)[:_ENOUGH].strip() or f"HTTP {response.status_code}"
    kind, hint = _kind(response, said, word)
    return kind(
        f"{what}: {said}",
        hint=hint,
        status=response.status_code,
        request_id=response.headers.get("fly-request-id", ""),
    )


def _kind(response: httpx.Response, said: str, word: str) -> tuple[type[ApiError], str]:
    low = said.lower()
    if word == "insufficient_capacity" or ("insufficient" in low and any(w in low for w in _SCARCE)):
        return NoCapacity, "another region, or a smaller guest: `voicedeploy check` names regions with room"
    if word == "name_taken" or "unique machine name violation" in low:
        return NameTaken, "names of apps are unique in all of Fly: choose another one"
    if response.is_redirect:
        where = response.headers.get("location", "").split("?")[0]
        return Refused, f"not followed, because the token would go to {where}: check FLY_FLAPS_BASE_URL"
    match response.status_code:
        case 401:
            return Unauthorized, "a new one: `fly tokens create org -o ORG`, then set FLY_API_TOKEN"
        case 403:
            return Forbidden, "the token is for another app or organization: `fly tokens create org -o ORG`"
        case 404:
            return NotFound, f"it may have been removed meanwhile; {_AGAIN}"
        case 408:
            return Unanswered, _AGAIN
        case 409 if "concurrent" in low:
            return Changed, f"somebody else changed it at the same time; {_AGAIN}"
        case 409:
            return LeaseHeld, "wait until the other deploy is over; an abandoned lease ends by itself"
        case 412:
            return Changed, f"it is not in the state that this needs; {_AGAIN}"
        case 429:
            return RateLimited, "Fly takes one request a second for each machine; wait a minute, then again"
        case status if status >= 500:
            return Unanswered, f"see status.flyio.net, then {_AGAIN}"
        case _:
            return Refused, "change what it names, then again"


_SCARCE = ("capacity", "resources", "cpus", "memory")


def _said(response: httpx.Response) -> tuple[str, str]:
    """What an error says, and its stable word."""
    try:
        body: Any = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return response.text, ""
    if not isinstance(body, dict):
        return "", ""
    said = body.get("error") or body.get("message") or ""
    word = body.get("status") or ""
    return str(said), word if isinstance(word, str) else ""
