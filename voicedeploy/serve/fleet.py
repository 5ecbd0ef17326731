"""Machines of one app behind one address: whose call it is, and who is asked when this one cannot take it.

On Fly (https://fly.io/docs/networking/dynamic-request-routing) an answer with a `fly-replay` header makes the proxy
bring the request, or the handshake of a WebSocket, to another machine. The machine of a call stands in its session's
id, so that nothing has to be looked up: 68 random bits, which cannot be guessed, and the machine's own id.
"""

import os
import re
import secrets
import uuid
from typing import Protocol

from starlette.requests import Request

from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.refusal import Refusal

REPLAY = "fly-replay"
# Set by the proxy on a request that was brought here by another machine: it is not sent on again.
REPLAYED = "fly-replay-src"
# What passes, or is better elsewhere.
_NO_ROOM = frozenset({"busy", "draining", "starting", "failed"})
_MACHINE = re.compile(r"[0-9a-f]{1,14}")


class Fleet(Protocol):
    def session_id(self) -> str: ...

    def elsewhere(self, request: Request, refusal: Refusal) -> dict[str, str]:
        """Headers of a refusal by which somebody else gets the request; none where this front has the last word."""
        ...


class Alone:
    def session_id(self) -> str:
        return str(uuid.uuid4())

    def elsewhere(self, request: Request, refusal: Refusal) -> dict[str, str]:
        return {}


class OnFly:
    def __init__(self, machine: str) -> None:
        self._machine = machine

    def session_id(self) -> str:
        digits = f"{secrets.token_hex(9)[:17]}{len(self._machine):x}{self._machine:0<14}"
        return str(uuid.UUID(digits))

    def elsewhere(self, request: Request, refusal: Refusal) -> dict[str, str]:
        if request.scope.get("private") or REPLAYED in request.headers:
            return {}
        if refusal.code == "unknown-session":
            machine = machine_of(str(request.path_params.get("id", "")))
            return {REPLAY: f"instance={machine}"} if machine and machine != self._machine else {}
        return {REPLAY: "elsewhere=true"} if refusal.code in _NO_ROOM else {}


def machine_of(session: str) -> str:
    """The machine in a session's id; "" for an id that was made by nobody here."""
    digits = session.replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        return ""
    machine = digits[18 : 18 + int(digits[17], 16)]
    return machine if _MACHINE.fullmatch(machine) and int(digits[17], 16) <= 14 else ""


def fleet(config: FrontConfig) -> Fleet:
    machine = os.environ.get("FLY_MACHINE_ID", "") if config.listen.fleet == "fly" else ""
    return OnFly(machine) if _MACHINE.fullmatch(machine) else Alone()
