"""The lock of a bot: a lease on one of its machines, kept up for as long as the work takes."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from voicedeploy.errors import VoiceDeployError
from voicedeploy_providers.fly.api import App, LeaseHeld

_LEASE_S = 60
"""A laptop that dies holds others up for so long."""
_RENEW_S = 20.0


@contextmanager
def held(app: App, machine: str, why: str) -> Iterator[str]:
    """Its nonce. `Locked` says who holds it."""
    try:
        lease = app.machines.lease(machine, _LEASE_S, why)
    except LeaseHeld as error:
        said = re.sub(r"\b\d{10}\b", _time, error.message.partition(": ")[2] or error.message)
        raise LeaseHeld(
            f"somebody else is changing {app.name}: {said}",
            hint="wait until that is over; a program that was killed lets go within a minute",
            status=error.status,
            request_id=error.request_id,
        ) from error
    over = threading.Event()

    def renew() -> None:
        while not over.wait(_RENEW_S):
            # One that is not renewed any more shows itself at the next change.
            with suppress(VoiceDeployError):
                app.machines.lease(machine, _LEASE_S, why, nonce=lease.nonce)

    renewing = threading.Thread(target=renew, name="fly-lease", daemon=True)
    renewing.start()
    try:
        yield lease.nonce
    finally:
        over.set()
        renewing.join(5)
        app.machines.release(machine, lease.nonce)


def _time(seconds: re.Match[str]) -> str:
    return datetime.fromtimestamp(int(seconds[0]), UTC).strftime("%H:%M:%S UTC")
