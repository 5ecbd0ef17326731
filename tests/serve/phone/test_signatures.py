"""Who has sent a webhook: each carrier's signature, by its published example where there is one."""

import base64
import hashlib
import hmac
from typing import ClassVar
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from voicedeploy.serve.phone import plivo, telnyx, twilio
from voicedeploy.serve.phone.carrier import Form, Webhook

# From Twilio's own validator's tests, and its page on webhook security.
TOKEN = "12345"  # noqa: S105
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]


def webhook(url: str, form: Form, headers: dict[str, str]) -> Webhook:
    return Webhook(url, headers, urlencode(form).encode())


def from_twilio(signature: str, url: str = URL, form: Form = FORM, token: str = TOKEN) -> bool:
    return twilio.signed(token, webhook(url, form, {"x-twilio-signature": signature}))


def test_twilio_s_published_example() -> None:
    assert from_twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert twilio.sign(TOKEN, URL, FORM) == {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        (URL.replace(".com", ".com:1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),  # signed without the port
        (URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),  # signed with 443
        (URL.replace("https", "http"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),  # signed with 80
        (URL.replace("https", "http").replace(".com", ".com:1234"), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ],
)
def test_twilio_signs_with_and_without_the_port(url: str, signature: str) -> None:
    assert from_twilio(signature, url)


def test_twilio_s_fields_that_come_twice() -> None:
    form = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    assert from_twilio("IK+Dwps556ElfBT0I3Rgjkr1wJU=", form=form)


@pytest.mark.parametrize(
    ("url", "form", "token"),
    [
        (URL.replace("https", "http"), FORM, TOKEN),
        (URL + "&more=1", FORM, TOKEN),
        (URL, FORM[:-1], TOKEN),
        (URL, [*FORM[:-1], ("To", "+18005551213")], TOKEN),
        (URL, FORM, "12346"),
        ("https://mycompany.com:nonsense/", FORM, TOKEN),
    ],
)
def test_anything_else_is_not_twilio(url: str, form: Form, token: str) -> None:
    assert not from_twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=", url, form, token)


@pytest.mark.parametrize("signature", ["", "nonsense", "ü"])
def test_no_signature_of_twilio(signature: str) -> None:
    assert not from_twilio(signature)


class TestTelnyx:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    body = b"CallSid=v3%3Aabc&From=%2B14155550100"

    def sent(self, stamp: str, *, body: bytes = b"", signature: str | None = None) -> Webhook:
        made = base64.b64encode(self.key.sign(stamp.encode() + b"|" + self.body)).decode()
        headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": made if signature is None else signature}
        return Webhook("https://bot.example.org/phone", headers, body or self.body)

    def known(self, sent: Webhook, *, now: float = 1_000_100, public: str = "") -> bool:
        return telnyx.signed(public or self.public, sent, clock=lambda: now)

    def test_right(self) -> None:
        assert self.known(self.sent("1000000"))
        assert self.known(self.sent("1000000"), now=1_000_300)
        assert self.known(self.sent("1000000"), now=999_700)

    def test_old(self) -> None:
        assert not self.known(self.sent("1000000"), now=1_000_301)
        assert not self.known(self.sent("1000000"), now=999_699)

    def test_wrong(self) -> None:
        assert not self.known(self.sent("1000000", body=b"CallSid=other"))
        assert not self.known(self.sent("1000000", signature=base64.b64encode(b"0" * 64).decode()))
        assert not self.known(self.sent("1000000", signature="é"))
        assert not self.known(self.sent("1000000", signature=""))
        assert not self.known(self.sent("soon"))
        assert not self.known(self.sent(""))

    @pytest.mark.parametrize("public", ["nonsense", "AAAA", "é", base64.b64encode(b"1" * 32).decode()])
    def test_another_key(self, public: str) -> None:
        assert not self.known(self.sent("1000000"), public=public)


class TestPlivo:
    # Worked out by hand from Plivo's description: the URL, "?", the sorted fields, ".", the nonce.
    url = "https://bot.example.org/phone"
    form: ClassVar = [("To", "14155550101"), ("From", "14155550100"), ("CallUUID", "u-1")]

    def sent(self, headers: dict[str, str], *, url: str = "", form: Form = ()) -> bool:
        return plivo.signed("token", webhook(url or self.url, form or self.form, headers))

    def test_the_text_that_is_signed(self) -> None:
        text = "https://bot.example.org/phone?CallUUIDu-1From14155550100To14155550101.n1"
        made = base64.b64encode(hmac.new(b"token", text.encode(), hashlib.sha256).digest()).decode()
        headers = {"x-plivo-signature-v3": made, "x-plivo-signature-v3-nonce": "n1"}
        assert self.sent(headers)
        assert self.sent(headers | {"x-plivo-signature-v3": f"old, {made}"})
        assert not self.sent(headers | {"x-plivo-signature-v3-nonce": "n2"})

    def test_with_a_query(self) -> None:
        text = "https://bot.example.org/phone?a=1&b=2.CallUUIDu-1From14155550100To14155550101.n1"
        made = base64.b64encode(hmac.new(b"token", text.encode(), hashlib.sha256).digest()).decode()
        headers = {"x-plivo-signature-v3": made, "x-plivo-signature-v3-nonce": "n1"}
        assert self.sent(headers, url=f"{self.url}?b=2&a=1")
        assert not self.sent(headers)

    def test_wrong(self) -> None:
        headers = plivo.sign("token", self.url, self.form)
        assert self.sent(headers)
        assert not self.sent(headers, url="http://bot.example.org/phone")
        assert not self.sent(headers, form=[("CallUUID", "u-2")])
        assert not self.sent({})
        assert not self.sent({**headers, "x-plivo-signature-v3": "é"})
        assert not self.sent(plivo.sign("other", self.url, self.form))


def test_a_body_that_is_no_form() -> None:
    assert Webhook(URL, {}, b"\xff\xfe").form == []
    assert Webhook(URL, {}, b"&".join(b"a=1" for _ in range(1000))).form == []
