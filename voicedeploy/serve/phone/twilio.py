"""Twilio: TwiML, and signatures of the URL and the form."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from voicedeploy.serve.phone import carrier
from voicedeploy.serve.phone.carrier import NONE, Form, Ring, Voice, Webhook
from voicedeploy.serve.phone.document import document, element, parameter, spoken

SIGNING_SECRET = "TWILIO_AUTH_TOKEN"  # noqa: S105  (its name)
HEADER = "x-twilio-signature"

_PORTS = {"https": 443, "http": 80}


def signed(secret: str, webhook: Webhook) -> bool:
    given = webhook.headers.get(HEADER, "").encode()
    form = webhook.form
    # Twilio signs some requests with the port and some without.
    matches = [hmac.compare_digest(_signature(secret, url, form), given) for url in _spellings(webhook.url)]
    return any(matches)


def sign(secret: str, url: str, form: Form) -> dict[str, str]:
    return {HEADER: _signature(secret, url, form).decode()}


def ring(form: Form) -> Ring | None:
    return carrier.ring(form, id="CallSid")


def connect(socket: str, ring: Ring, voice: Voice, greeting: str, parameters: Mapping[str, str] = NONE) -> bytes:
    # Under these names Pipecat looks for them.
    numbers = [*parameter("from_number", ring.from_number), *parameter("to_number", ring.to_number)]
    more = [one for name, value in parameters.items() for one in parameter(name, value)]
    stream = element("Stream", "", *numbers, *more, url=socket)
    return document(*spoken("Say", greeting, voice), element("Connect", "", stream))


def hold(again: str, voice: Voice, text: str) -> bytes:
    return document(*spoken("Say", text, voice), element("Redirect", again, method="POST"))


def refuse(voice: Voice, text: str) -> bytes:
    return document(*spoken("Say", text, voice), element("Hangup"))


def _signature(secret: str, url: str, form: Form) -> bytes:
    fields = "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.digest(secret.encode(), (url + fields).encode(), hashlib.sha1)
    return base64.b64encode(digest)


def _spellings(url: str) -> list[str]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return [url]
    if port is None:
        netlocs = [parts.netloc, f"{parts.netloc}:{_PORTS.get(parts.scheme, 443)}"]
    else:
        netlocs = [parts.netloc, parts.netloc.rpartition(":")[0]]
    return [url.replace(parts.netloc, netloc, 1) for netloc in netlocs]
