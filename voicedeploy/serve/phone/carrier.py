"""What the front asks of a carrier. Each module here that is named after one is a `Carrier`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

FIELDS_AT_MOST = 200

# What carriers call a call that is over.
OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled", "cancel", "timeout"})

NONE: Mapping[str, str] = {}

Form = Sequence[tuple[str, str]]
"""The fields of a form, in the order in which they came; a name can come twice."""


@dataclass(frozen=True)
class Webhook:
    """A request of a carrier. `url` is what the carrier asked for, not what a proxy made of it; the names of `headers`
    are looked up in lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> Form:
        """Empty where the body is no form."""
        try:
            return parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=FIELDS_AT_MOST)
        except ValueError:
            return []


@dataclass(frozen=True)
class Ring:
    """A call that comes in. `over`: the caller has hung up."""

    call_id: str
    from_number: str
    to_number: str
    over: bool = False


@dataclass(frozen=True)
class Voice:
    """The carrier's own speech, for what is said before the bot answers. "" is the carrier's default."""

    language: str = ""
    name: str = ""


class Carrier(Protocol):
    """The module of one carrier."""

    SIGNING_SECRET: str
    """The name of the bot's secret by which the carrier's requests are known."""

    def signed(self, secret: str, webhook: Webhook) -> bool:
        """Whether the carrier has sent it. Compares in constant time."""
        ...

    def sign(self, secret: str, url: str, form: Form) -> dict[str, str]:
        """The headers of a signed request; none where only the carrier can sign."""
        ...

    def ring(self, form: Form) -> Ring | None:
        """None: the form tells of no call."""
        ...

    def connect(
        self, socket: str, ring: Ring, voice: Voice, greeting: str, parameters: Mapping[str, str] = NONE
    ) -> bytes:
        """The document that joins the call with the media socket at the URL `socket`. `greeting` is said before;
        `parameters` are told on the socket, where the carrier can."""
        ...

    def hold(self, again: str, voice: Voice, text: str) -> bytes:
        """Says `text` and asks again at the URL `again`."""
        ...

    def refuse(self, voice: Voice, text: str) -> bytes:
        """Says `text` and hangs up."""
        ...


def ring(form: Form, *, id: str) -> Ring | None:
    """The fields that all carriers name alike; `id` is the name of the call's own."""
    fields = dict(form)
    if not fields.get(id):
        return None
    over = fields.get("CallStatus", "").lower() in OVER
    return Ring(fields[id], fields.get("From", ""), fields.get("To", ""), over)
