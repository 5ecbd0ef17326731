"""The HTTP half of a call: which transport, token, `POST /start`, offer and answer, and what their refusals mean."""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from voicedeploy.call.callee import Callee
from voicedeploy.call.run import Failure


class CallFailed(Exception):
    """Carries the layer that failed out of whatever depth it failed in."""

    def __init__(self, failure: Failure, *, retry_after_s: float | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after_s = retry_after_s


ASSUMED = "webrtc"
"""What is called where nobody says which transport it is: Pipecat's runner without `-t` serves it."""
ASK_S = 10.0
HINTS = {
    400: "if the bot speaks another transport, say so by --transport; `voicedeploy logs` has the bot's side",
    404: "is this the address of the front?",
}


@dataclass(frozen=True)
class Started:
    """The whole answer of `/start`, of which each line reads its own part. Empty: the server has no `/start`."""

    session_id: str | None = None
    body: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answer:
    sdp: str
    type: str
    pc_id: str | None


async def transport_of(callee: Callee) -> str:
    """What the front says that it speaks. One that does not say, or does not answer, is called over WebRTC.

    A platform in place of a front is not asked. By a connection of its own, so that the call pays for its connection as
    if nobody had asked.
    """
    if callee.way:
        return callee.way.transport
    async with _client(callee, ASK_S) as http:
        try:
            body = (await http.get(f"{callee.url}/page.json")).json()
        except (httpx.HTTPError, ValueError):
            return ASSUMED
    said = body.get("transport") if isinstance(body, dict) else None
    return said if isinstance(said, str) and said else ASSUMED


def trust(callee: Callee) -> ssl.SSLContext:
    """The system's certificates and the callee's own."""
    # Reading all of a system's certificates takes 100 ms: not for plain http, where nothing is verified by it.
    tls = ssl.create_default_context() if callee.url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if callee.ca:
        tls.load_verify_locations(cadata=callee.ca)
    return tls


def _client(callee: Callee, timeout_s: float) -> httpx.AsyncClient:
    # Proxies of the environment are for the way out, never for this machine.
    tls = trust(callee)
    private = httpx.AsyncHTTPTransport(uds=callee.socket, verify=tls) if callee.socket else None
    return httpx.AsyncClient(transport=private, timeout=timeout_s, trust_env=not callee.on_loopback, verify=tls)


class Signalling:
    """One caller's conversation with a front, over one connection that is kept open."""

    def __init__(self, callee: Callee, *, timeout_s: float) -> None:
        self._callee = callee
        self._token = ""
        self.connect_s: float | None = None
        self._connect_began = 0.0
        self._http = _client(callee, timeout_s)

    async def close(self) -> None:
        await self._http.aclose()

    async def authorize(self) -> None:
        """Buys a one-time start token with the invitation or the key. A front without `/token` gets the key."""
        root = self._callee.invite or self._callee.key
        if not root or self._callee.socket:
            return
        response = await self._send("POST", "/token", token=root)
        if response.status_code in (404, 405) and self._callee.key:
            self._token = self._callee.key
            return
        body = self._body(response, "/token")
        token = body.get("token")
        if not isinstance(token, str):
            raise CallFailed(odd("/token", "carries no token"))
        self._token = token

    async def start(self, transport: str) -> Started:
        """Opens a session. Raises CallFailed; `retry_after_s` is set when the front is only busy."""
        wants_stun = not self._callee.on_private_network
        response = await self._send(
            "POST",
            "/start",
            token=self._token,
            json={"transport": transport, "enableDefaultIceServers": wants_stun},
        )
        if response.status_code in (404, 405):  # a server with nothing but Pipecat's endpoint for media
            return Started()
        body = self._body(response, "/start")
        session = body.get("sessionId")
        return Started(session if isinstance(session, str) else None, body)

    async def offer(self, session_id: str | None, sdp: str) -> Answer:
        path = f"/sessions/{session_id}/api/offer" if session_id else "/api/offer"
        response = await self._send("POST", path, token=self._token, json={"sdp": sdp, "type": "offer"})
        body = self._body(response, path)
        if not isinstance(body.get("sdp"), str):
            raise CallFailed(odd(path, "carries no SDP answer"))
        pc_id = body.get("pc_id")
        return Answer(body["sdp"], str(body.get("type", "answer")), pc_id if isinstance(pc_id, str) else None)

    async def post_form(self, url: str, form: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> httpx.Response:
        """As a carrier asks. Raises CallFailed for anything but success."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        response = await self._request("POST", url, headers=headers, content=urlencode(form))
        if not response.is_success:
            raise refusal(response, urlsplit(url).path, self._callee)
        return response

    async def state(self, session_id: str) -> str:
        """How far the call is, in the front's words. Raises CallFailed for one that has ended."""
        path = f"/sessions/{session_id}"
        return str(self._body(await self._send("GET", path, token=""), path).get("state", ""))

    async def abandon(self, session_id: str) -> None:
        """Gives the slot of a failed call back at once, where the front knows how."""
        try:
            await self._http.request("DELETE", f"{self._callee.url}/sessions/{session_id}", timeout=2)
        except httpx.HTTPError:
            return

    async def _send(self, method: str, path: str, *, token: str, json: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._request(method, self._callee.url + path, headers=headers, json=json)

    async def _request(self, method: str, url: str, **what: Any) -> httpx.Response:
        try:
            return await self._http.request(method, url, extensions={"trace": self._trace}, **what)
        except httpx.TimeoutException as why:
            raise CallFailed(
                Failure(
                    "signalling",
                    f"{url} did not answer in time ({type(why).__name__})",
                    "is the address right, and the port open for TCP from here? `voicedeploy status`",
                )
            ) from why
        except httpx.HTTPError as why:
            raise CallFailed(_unreachable(self._callee, why)) from why

    async def _trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self._connect_began = time.monotonic()
        elif event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.connect_s = time.monotonic() - self._connect_began

    def _body(self, response: httpx.Response, path: str) -> dict[str, Any]:
        if response.is_success:
            try:
                body = response.json()
            except ValueError:
                body = None
            if not isinstance(body, dict):
                raise CallFailed(
                    Failure(
                        "signalling",
                        f"{self._callee.url}{path} answers {response.status_code}, but not as a voice bot does",
                        "is there another service at this address? `voicedeploy status` prints the bot's",
                    )
                )
            return body
        raise refusal(response, path, self._callee)


def refusal(response: httpx.Response, path: str, callee: Callee) -> CallFailed:
    """What an HTTP error means for a caller. The front's own message and hint win where it sends them."""
    said = _error_of(response)
    code, message, hint = (said.get(part) or "" for part in ("code", "message", "hint"))
    status = response.status_code
    retry = _seconds(response.headers.get("Retry-After"))
    if status in (503, 429):
        again = f" in {retry:.0f} s" if retry is not None else " in a while"
        default = "too many starts from this address" if status == 429 else "all slots are busy"
        return CallFailed(
            Failure("busy", f"{message or default} ({status} {code or path})", hint or f"call again{again}"),
            retry_after_s=5.0 if retry is None else retry,
        )
    if status in (401, 403):
        if callee.invite:
            default_hint = "the invitation may have expired: make a new one with `voicedeploy status`"
        elif callee.key:
            default_hint = "the key does not open this front: is it the key of another deployment?"
        else:
            default_hint = "the front wants a token: use the address with `#invite=…`, or --provider"
        return CallFailed(Failure("refused", f"{message or path} ({status} {code})", hint or default_hint))
    detail = message or response.text.strip()[:200] or response.reason_phrase
    return CallFailed(
        Failure(
            "signalling",
            f"{path} failed: {status} {detail}",
            hint or HINTS.get(status, "`voicedeploy logs` has the bot's side"),
        )
    )


def _error_of(response: httpx.Response) -> dict[str, str]:
    try:
        body = response.json()
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    # A platform in place of a front says it at the top.
    error = body.get("error") or body.get("detail") or body.get("message")
    if isinstance(error, dict):
        return {str(key): str(value) for key, value in error.items() if value}
    said = {"message": error, "code": body.get("code")} if isinstance(error, str) else {}
    return {key: str(value) for key, value in said.items() if value and value != str(response.status_code)}


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None


def odd(path: str, what: str) -> Failure:
    return Failure("signalling", f"the answer of {path} {what}", "is there another service at this address?")


def _unreachable(callee: Callee, why: httpx.HTTPError) -> Failure:
    text = str(why) or type(why).__name__
    if "certificate" in text.lower():
        return Failure(
            "signalling",
            f"{callee.url} has no certificate that this machine trusts: {text}",
            "use the name that the certificate was made for; for an own CA set SSL_CERT_FILE",
        )
    if isinstance(why, httpx.ConnectError):
        return Failure(
            "signalling",
            f"nothing answers at {callee.url}: {text}",
            "is it up? `voicedeploy status`, or `voicedeploy up`",
        )
    return Failure(
        "signalling", f"{callee.url} broke the connection off: {text}", "`voicedeploy logs` has the bot's side"
    )
