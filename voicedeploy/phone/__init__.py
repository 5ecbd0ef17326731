"""Phone numbers that somebody has at a carrier: what they lead to, and whether a carrier could call the bot."""

from collections.abc import Mapping

from voicedeploy.phone import plivo, telnyx, twilio
from voicedeploy.phone.account import Account

KEYS: Mapping[str, tuple[str, ...]] = {"twilio": twilio.KEYS, "telnyx": telnyx.KEYS, "plivo": plivo.KEYS}
"""What opens an account, by the key of the transport: names of environment variables."""


def open_account(kind: str, keys: Mapping[str, str]) -> Account:
    """`keys`: a value for each of `KEYS[kind]`."""
    accounts: Mapping[str, type[Account]] = {
        "twilio": twilio.Twilio,
        "telnyx": telnyx.Telnyx,
        "plivo": plivo.Plivo,
    }
    return accounts[kind](keys)
