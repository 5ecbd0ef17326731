"""The fronts of a bot that run on this machine now, as they themselves tell it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from voicedeploy.ask import ask, object_in
from voicedeploy_providers.local.machine import running
from voicedeploy_providers.local.places import Places

ENDING_S = 1.0
"""So long after its last answer a front that ends may be there still."""


@dataclass(frozen=True)
class Front:
    release: str
    socket: str
    ready: bool
    reason: str
    """Why it is not ready: `starting`, `failed`, …"""
    public: bool
    """It holds the public port."""
    draining: bool
    sessions: int
    slots: int
    warm: int
    max_duration_s: float


def fronts(places: Places) -> list[Front]:
    return [found for release in places.releases() if (found := front(places, release))]


def front(places: Places, release: str) -> Front | None:
    """The front of one release, None where its process is gone."""
    process = running(places.pid_file(release))
    if process is None:
        return None
    socket = str(places.socket(release))
    ready, status = _get(socket, "/readyz"), _get(socket, "/status")
    if not status:
        with suppress(psutil.TimeoutExpired):
            process.wait(ENDING_S)
            return None
    slots: dict[str, Any] = status.get("slots", {})
    return Front(
        release=release,
        socket=socket,
        ready=bool(ready.get("ready")),
        reason=str(ready.get("reason", "does not answer")),
        public=bool(status.get("listening")),
        draining=bool(status.get("draining")),
        sessions=len(status.get("sessions", [])),
        slots=int(slots.get("max", 0)),
        warm=int(slots.get("warm", 0)),
        max_duration_s=float(status.get("max_duration_s", 0)),
    )


def _get(socket: str, path: str) -> dict[str, Any]:
    _, text = ask("GET", path, socket, timeout_s=3)
    return object_in(text)
