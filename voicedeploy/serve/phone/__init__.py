"""The phone: a carrier's webhook, and its answer documents. See docs/decisions/0008-a-phone-call.md."""

from collections.abc import Mapping

from voicedeploy.serve.phone import plivo, telnyx, twilio
from voicedeploy.serve.phone.carrier import Carrier

CARRIERS: Mapping[str, Carrier] = {"twilio": twilio, "telnyx": telnyx, "plivo": plivo}
"""By the key of the transport. Exotel has no webhook."""
