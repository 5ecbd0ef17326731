"""XML documents that tell a carrier what to do with a call."""

import re
from xml.etree.ElementTree import Element, tostring

from voicedeploy.serve.phone.carrier import Voice

CONTENT_TYPE = "text/xml; charset=utf-8"

# Twilio takes 500 characters for the name and the value of a parameter together.
LONGEST_VALUE = 256
# What no XML 1.0 document may hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(*children: Element) -> bytes:
    response = Element("Response")
    response.extend(children)
    return bytes(tostring(response, encoding="utf-8", xml_declaration=True))


def element(tag: str, text: str = "", *children: Element, **attributes: str) -> Element:
    made = Element(tag, {name: _clean(value) for name, value in attributes.items()})
    made.text = _clean(text) or None
    made.extend(children)
    return made


def spoken(tag: str, text: str, voice: Voice) -> list[Element]:
    """Nothing for no text."""
    said = {"language": voice.language, "voice": voice.name}
    return [element(tag, text, **{name: value for name, value in said.items() if value})] if text else []


def parameter(name: str, value: str) -> list[Element]:
    return [element("Parameter", name=name, value=value[:LONGEST_VALUE])] if value else []


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)
