"""What a webhook's answer makes a carrier do: TwiML, TeXML and Plivo XML, as far as bots use them."""

from dataclasses import dataclass, field
from xml.etree import ElementTree

SPOKEN = 14
"""Characters that a carrier's voice says in a second, about 165 words a minute."""
LARGEST = 1 << 16


@dataclass(frozen=True)
class Told:
    """`seconds` pass with `said` and with silence; then the carrier opens `socket`, or asks `again`, or else hangs up.

    `parameters` are what the bot wants to be told when its socket is opened.
    """

    said: tuple[str, ...] = ()
    seconds: float = 0.0
    socket: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    again: str = ""


def told(document: bytes) -> Told:
    """Raises ValueError for what a carrier would not follow either."""
    try:
        if len(document) > LARGEST or b"<!DOCTYPE" in document:
            raise ValueError("it is no document of a carrier")
        response = ElementTree.fromstring(document)  # noqa: S314 - small, and without entities
    except ElementTree.ParseError as why:
        raise ValueError(str(why)) from why
    if response.tag != "Response":
        raise ValueError(f"it begins with <{response.tag}> instead of <Response>")
    said: list[str] = []
    seconds = 0.0
    for verb in response:
        text = (verb.text or "").strip()
        match verb.tag:
            case "Say" | "Speak":
                said.append(text)
                seconds += len(text) / SPOKEN
            case "Pause" | "Wait":
                seconds += float(verb.get("length", "1"))
            case "Redirect":
                return Told(tuple(said), seconds, again=text)
            case "Hangup" | "Reject":
                break
            case "Connect" | "Stream":
                stream = verb if verb.tag == "Stream" else verb.find("Stream")
                if stream is None:
                    raise ValueError("<Connect> without a <Stream>")
                return Told(tuple(said), seconds, stream.get("url") or text, _parameters(stream))
            case "Start":
                raise ValueError("<Start><Stream> is one-way, the caller would hear nothing: <Connect><Stream> is both")
    return Told(tuple(said), seconds)


def _parameters(stream: ElementTree.Element) -> dict[str, str]:
    """Twilio's and Telnyx's elements, and Plivo's attribute."""
    named = {one.get("name", ""): one.get("value", "") for one in stream.findall("Parameter")}
    headers = (pair.partition("=") for pair in stream.get("extraHeaders", "").split(",") if "=" in pair)
    return named | {name.strip(): value.strip() for name, _, value in headers}
