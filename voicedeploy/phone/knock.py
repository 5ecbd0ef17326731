"""Asks a bot's webhook as a carrier would."""

import re
import secrets
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import httpx

from voicedeploy.api.authorities import trusted
from voicedeploy.phone.answer import examine, socket
from voicedeploy.provider import Finding
from voicedeploy.serve.phone import CARRIERS

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Knock:
    """`secret` signs as the carrier does, where it can be had; else the front's `key` opens. `trust` is for a front
    behind an authority of its own."""

    kind: str
    url: str
    secret: str = ""
    key: str = ""
    trust: ssl.SSLContext | None = None


def knock(at: Knock) -> list[Finding]:
    """Starts a call, looks at the answer and ends it. Nobody is called."""
    with httpx.Client(timeout=TIMEOUT_S, verify=at.trust or trusted()) as http:
        form = [("CallSid", f"CA{secrets.token_hex(16)}"), ("CallUUID", secrets.token_hex(16))]
        form += [("From", "+15005550006"), ("To", "+15005550006"), ("CallStatus", "ringing")]
        signature = CARRIERS[at.kind].sign(at.secret, at.url, form) if at.secret else {}
        proof = signature or ({"authorization": f"Bearer {at.key}"} if at.key else {})
        try:
            found = _open(at, http, form)
            answer = _send(at, http, form, proof)
        except httpx.HTTPError as error:
            said = f"{at.url}: {type(error).__name__}: {error}"
            return [Finding("VD176", "error", "webhook", said, "is the bot up, and does the address lead to it?")]
        found += _judged(at, answer, "signed" if signature else "with the key")
        if url := socket(answer.content):
            found += _reach(at, http, url)
            _end(at, http, url)
    return found


def _open(at: Knock, http: httpx.Client, form: list[tuple[str, str]]) -> list[Finding]:
    answer = _send(at, http, form, {})
    if not answer.is_success:
        return []
    _end(at, http, socket(answer.content))
    said = f"{at.url} answers a request that nobody has signed"
    return [Finding("VD177", "error", "webhook", said, "check the signature, or serve the bot with `voicedeploy up`")]


def _judged(at: Knock, answer: httpx.Response, how: str) -> list[Finding]:
    if answer.status_code in (401, 403):
        said = f"{at.url} refuses a request that is {how}: {_said(answer)}"
        name = CARRIERS[at.kind].SIGNING_SECRET
        fix = f"set `access.public_url`, or {name} anew: `voicedeploy secrets set {name}`, then `voicedeploy up`"
        return [Finding("VD175", "error", "webhook", said, fix)]
    if not answer.is_success:
        said = f"{at.url} answers {answer.status_code}: {_said(answer)}"
        return [Finding("VD176", "error", "webhook", said, "`voicedeploy logs` says more")]
    wrong = examine(at.kind, answer.content)
    return wrong or [Finding("VD000", "ok", "webhook", f"{at.url} answers, asked {how}")]


def _reach(at: Knock, http: httpx.Client, url: str) -> list[Finding]:
    """Whether the host of the media socket is there: it need not be the webhook's."""
    host = urlsplit(url).netloc
    try:
        http.get(f"https://{host}/livez")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = f"{host} does not answer over TLS: {type(error).__name__}: {error}"
        return [Finding("VD173", "error", "socket", said, "set `access.public_url`")]
    return [Finding("VD000", "ok", "socket", f"{host} answers over TLS")]


def _end(at: Knock, http: httpx.Client, url: str) -> None:
    """Gives back the slot, where the webhook is one of ours."""
    base, path = urlsplit(at.url), urlsplit(url).path
    if match := re.fullmatch(r"/ws/([0-9a-f-]{36})", path):
        http.delete(f"{base.scheme}://{base.netloc}/sessions/{match[1]}")


def _send(at: Knock, http: httpx.Client, form: list[tuple[str, str]], headers: dict[str, str]) -> httpx.Response:
    content = {"content-type": "application/x-www-form-urlencoded"}
    return http.post(at.url, content=urlencode(form), headers={**content, **headers})


def _said(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:120]
