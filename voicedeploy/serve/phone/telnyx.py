"""Telnyx: TeXML, and signatures of the body by the carrier's own key."""

import base64
import time
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voicedeploy.serve.phone import carrier
from voicedeploy.serve.phone.carrier import NONE, Form, Ring, Voice, Webhook
from voicedeploy.serve.phone.document import document, element, spoken

SIGNING_SECRET = "TELNYX_PUBLIC_KEY"  # noqa: S105  (its name)
SIGNATURE = "telnyx-signature-ed25519"
TIMESTAMP = "telnyx-timestamp"
TOLERANCE_S = 300


def signed(secret: str, webhook: Webhook, *, clock: Callable[[], float] = time.time) -> bool:
    stamp = webhook.headers.get(TIMESTAMP, "")
    try:
        if abs(clock() - int(stamp)) > TOLERANCE_S:
            return False
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret, validate=True))
        signature = base64.b64decode(webhook.headers.get(SIGNATURE, ""), validate=True)
        key.verify(signature, stamp.encode() + b"|" + webhook.body)
    except (ValueError, InvalidSignature):
        return False
    return True


def sign(secret: str, url: str, form: Form) -> dict[str, str]:
    return {}


def ring(form: Form) -> Ring | None:
    return carrier.ring(form, id="CallSid")


def connect(socket: str, ring: Ring, voice: Voice, greeting: str, parameters: Mapping[str, str] = NONE) -> bytes:
    # Without the mode the bot hears and is not heard. The numbers are in the socket's first message anyway.
    stream = element("Stream", url=socket, bidirectionalMode="rtp")
    return document(*spoken("Say", greeting, voice), element("Connect", "", stream))


def hold(again: str, voice: Voice, text: str) -> bytes:
    return document(*spoken("Say", text, voice), element("Redirect", again, method="POST"))


def refuse(voice: Voice, text: str) -> bytes:
    return document(*spoken("Say", text, voice), element("Hangup"))
