"""What a client is told when it does not get what it asked for."""

import math


class Refusal(Exception):
    """Becomes `{"error": {"code", "message", "hint"}}` with `status`; `retry_after_s` its header."""

    def __init__(
        self, status: int, code: str, message: str, *, hint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}

    @property
    def headers(self) -> dict[str, str]:
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.status == 408:
            # The rest of the body stays unread.
            headers["Connection"] = "close"
        return headers


def unknown_session() -> Refusal:
    return Refusal(404, "unknown-session", "no such call here", hint="start a new one")


def wait_of(retry_after: str, otherwise: float) -> float:
    """What another server's `Retry-After` says, as far as waiting for it makes sense; in seconds."""
    return min(float(retry_after), 60.0) if retry_after.isdigit() else otherwise
