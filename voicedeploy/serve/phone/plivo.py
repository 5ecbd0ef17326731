"""Plivo: its XML, and signatures (version 3) of the URL, the form and a nonce."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from voicedeploy.serve.phone import carrier
from voicedeploy.serve.phone.carrier import NONE, Form, Ring, Voice, Webhook
from voicedeploy.serve.phone.document import document, element, spoken

SIGNING_SECRET = "PLIVO_AUTH_TOKEN"  # noqa: S105  (its name)
SIGNATURE = "x-plivo-signature-v3"
NONCE = "x-plivo-signature-v3-nonce"

FORMAT = "audio/x-mulaw;rate=8000"


def signed(secret: str, webhook: Webhook) -> bool:
    nonce = webhook.headers.get(NONCE, "")
    ours = _signature(secret, webhook.url, webhook.form, nonce)
    # While a token is replaced there are two of them, and two signatures.
    given = webhook.headers.get(SIGNATURE, "").split(",")[:4]
    matches = [hmac.compare_digest(ours, one.strip().encode()) for one in given]
    return bool(nonce) and any(matches)


def sign(secret: str, url: str, form: Form) -> dict[str, str]:
    nonce = secrets.token_hex(10)
    return {NONCE: nonce, SIGNATURE: _signature(secret, url, form, nonce).decode()}


def ring(form: Form) -> Ring | None:
    return carrier.ring(form, id="CallUUID")


def connect(socket: str, ring: Ring, voice: Voice, greeting: str, parameters: Mapping[str, str] = NONE) -> bytes:
    stream = element("Stream", socket, bidirectional="true", keepCallAlive="true", contentType=FORMAT)
    return document(*spoken("Speak", greeting, voice), stream)


def hold(again: str, voice: Voice, text: str) -> bytes:
    return document(*spoken("Speak", text, voice), element("Redirect", again, method="POST"))


def refuse(voice: Voice, text: str) -> bytes:
    return document(*spoken("Speak", text, voice), element("Hangup"))


def _signature(secret: str, url: str, form: Form, nonce: str) -> bytes:
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in _sorted(parse_qsl(parts.query, keep_blank_values=True)))
    text = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if query or form:
        text += f"?{query}"
    if query and form:
        text += "."
    text += "".join(name + value for name, value in _sorted(form))
    return base64.b64encode(hmac.digest(secret.encode(), f"{text}.{nonce}".encode(), hashlib.sha256))


def _sorted(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(fields)
