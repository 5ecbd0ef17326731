"""What the command line and providers ask a front."""

import socket
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import ValidationError

from voicedeploy.errors import NotReady, StepFailed
from voicedeploy.serve.shapes import Drained, Minted, Opened, Ready, Shape, Status

TIMEOUT_S = 10.0
Answer = TypeVar("Answer", bound=Shape)


def _no_tls() -> ssl.SSLContext:
    # The default context reads all certificate authorities, which takes 0.1 s and is for nothing here.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class FrontUnreachable(NotReady):
    """Nobody answers at the front's address."""

    code = "front-unreachable"


class FrontRefused(StepFailed):
    """The front answered with an error: `code` is the front's own word, `status` the HTTP status."""

    def __init__(self, status: int, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.front_code = code


class FrontClient:
    """Talks to a front over its unix socket, where everything is allowed, or over HTTP with the API key.

    Every method raises `FrontUnreachable` or `FrontRefused`.
    """

    def __init__(self, *, socket: Path | None = None, url: str = "http://front", key: str | None = None) -> None:
        self._where = str(socket or url)
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket), verify=_no_tls()) if socket else None,
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=TIMEOUT_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def status(self) -> Status:
        return self._ask(Status, "GET", "/status")

    def readyz(self) -> Ready:
        """Also what is not ready is an answer here, no error."""
        answer = self._send("GET", "/readyz")
        try:
            return Ready.model_validate_json(answer.content)
        except ValidationError:
            raise self._refused(answer) from None

    def start_token(self) -> Minted:
        """A token for one start, good for a minute."""
        return self._ask(Minted, "POST", "/token", {"kind": "start"})

    def invite(self, ttl_s: int) -> Minted:
        """A token that mints start tokens for `ttl_s` seconds: for a link, as `#invite=TOKEN`."""
        return self._ask(Minted, "POST", "/token", {"kind": "invite", "ttl_s": ttl_s})

    def drain(self, *, release_port: bool = False) -> Drained:
        """No new calls; with `release_port` the public listener is closed when this returns."""
        return self._ask(Drained, "POST", "/drain", {"release_port": release_port})

    def open(self) -> Opened:
        """Opens the public listener of a front that was started with `listen.hold`. Opening twice is fine."""
        return self._ask(Opened, "POST", "/open", {})

    def metrics(self) -> str:
        """In Prometheus's text format."""
        answer = self._send("GET", "/metrics")
        if answer.is_error:
            raise self._refused(answer)
        return answer.text

    def _ask(self, shape: type[Answer], method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        answer = self._send(method, path, body)
        if answer.is_error:
            raise self._refused(answer)
        try:
            return shape.model_validate_json(answer.content)
        except ValidationError:
            raise self._refused(answer) from None

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            self._knock()
            return self._http.request(method, path, json=body)
        except (OSError, httpx.HTTPError) as error:
            raise FrontUnreachable(
                f"no front answers at {self._where}: {error}", hint="start it: voicedeploy up"
            ) from error

    def _knock(self) -> None:
        """httpcore leaves a unix socket open (a ResourceWarning) when nobody listens there: that is seen first."""
        if self._socket:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(TIMEOUT_S)
                probe.connect(str(self._socket))

    def _refused(self, answer: httpx.Response) -> FrontRefused:
        try:
            error = answer.json()["error"]
            code, message, hint = str(error["code"]), str(error["message"]), str(error["hint"])
        except (ValueError, KeyError, TypeError):
            code, message, hint = "not-a-front", f"{self._where} answers, but not as a front does", ""
        return FrontRefused(answer.status_code, code, f"{message} ({answer.status_code} {code})", hint=hint)
