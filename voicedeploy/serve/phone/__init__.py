"""The phone: a carrier's webhook, and its answer documents. See docs/decisions/0010-a-phone-call.md."""

from collections.abc import Mapping

from voicedeploy.serve.phone import plivo, telnyx, twilio
from voicedeploy.serve.phone.carrier import Carrier

CARRIERS: Mapping[str, Carrier] = {"twilio": twilio, "telnyx": telnyx, "plivo": plivo}
"""By the key of the transport."""

LINES = frozenset({"exotel"})
"""Carriers whose numbers lead straight to a media socket, always the same one: `/ws/line/TOKEN`."""
