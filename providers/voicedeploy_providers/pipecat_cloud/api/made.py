"""What was made although the answer to making it was lost."""

from collections.abc import Callable
from typing import TypeVar

from voicedeploy_providers.pipecat_cloud.api.errors import Unanswered, uncertain
from voicedeploy_providers.pipecat_cloud.api.wire import Clock

T = TypeVar("T")

_LOOKS = 6
_BETWEEN_S = 2.0
"""12 s in all: what is shown is behind what was done by some seconds."""


def once(make: Callable[[], T], find: Callable[[], T | None], what: str, clock: Clock) -> T:
    """What `make` made. Without an answer it is never made again: it is looked for, and `Uncertain` if not found."""
    try:
        return make()
    except Unanswered as lost:
        for look in range(_LOOKS + 1):
            if look:
                clock.sleep(_BETWEEN_S)
            try:
                found = find()
            except Unanswered:
                continue
            if found is not None:
                return found
        raise uncertain(what) from lost
