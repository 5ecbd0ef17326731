"""Whether a carrier's answer document leads to a bot that hears and is heard. Pure."""

from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from xml.etree.ElementTree import Element, ParseError, fromstring, indent, tostring

from voicedeploy.provider import Finding
from voicedeploy.serve.phone import CARRIERS
from voicedeploy.serve.phone.carrier import Ring, Voice

_HERE = ("localhost", ".localhost", ".local", ".internal", ".lan")
_BARE_TCP = ("tcp.ngrok.io", "tcp.eu.ngrok.io", "tcp.us.ngrok.io", "tcp.ap.ngrok.io", "tcp.ngrok-free.app")


def examine(kind: str, text: bytes) -> list[Finding]:
    """What is wrong with it, each with the whole corrected document as its fix; nothing if it is right."""
    root = _parsed(text)
    stream = None if root is None else root.find(".//Stream")
    if root is None or stream is None:
        return [Finding("VD176", "error", "answer", _no_stream(root, text), "`voicedeploy logs` says more")]
    right = _corrected(kind, stream)
    fix = tostring(right, encoding="unicode")
    url = _url(stream)
    parts = urlsplit(url)
    found = []
    if any(start.find("Stream") is not None for start in root.iter("Start")):
        said = "<Start><Stream> is one way: the bot hears the caller and is never heard"
        found.append(Finding("VD170", "error", "answer", said, fix))
    if parts.scheme != "wss":
        found.append(
            Finding("VD171", "error", "answer", f"{_short(url)} is not wss://, and carriers open no other", fix)
        )
    if parts.query:
        said = f"{_short(url)} has a query, which carriers drop: what it says never arrives"
        found.append(Finding("VD172", "error", "answer", said, fix))
    if why := _unreachable(parts.hostname or ""):
        found.append(Finding("VD173", "error", "answer", f"{parts.hostname}: {why}", "set `access.public_url`"))
    wanted = right.find(".//Stream")
    lacking = [f'{k}="{v}"' for k, v in _modes(wanted).items() if _modes(stream).get(k) != v]
    if lacking:
        said = f"<Stream> lacks {' '.join(lacking)}: the caller would not hear the bot, or only noise"
        found.append(Finding("VD179", "error", "answer", said, fix))
    return found


def socket(text: bytes) -> str:
    """The address of the media socket, "" if there is none."""
    root = _parsed(text)
    stream = None if root is None else root.find(".//Stream")
    return "" if stream is None else _url(stream)


def _parsed(text: bytes) -> Element | None:
    # A document of instructions has no need of definitions, which can blow up.
    if b"<!" in text:
        return None
    try:
        return fromstring(text)  # noqa: S314
    except (ParseError, ValueError):
        return None


def _no_stream(root: Element | None, text: bytes) -> str:
    if root is None:
        return f"the answer is no XML: {text[:80].decode(errors='replace')!r}"
    if root.find("Redirect") is not None:
        return "the answer is to hold: no slot is free, or the bot still starts"
    if root.find("Hangup") is not None:
        return "the answer is to hang up: the bot does not start"
    return f"no <Stream> in the answer, but {', '.join(f'<{child.tag}>' for child in root) or 'nothing'}"


def _url(stream: Element) -> str:
    return (stream.get("url") or stream.text or "").strip()


def _modes(stream: Element | None) -> dict[str, str]:
    return {} if stream is None else {name: value for name, value in stream.attrib.items() if name != "url"}


def _corrected(kind: str, stream: Element) -> Element:
    """As this front would write it; what stood in the query becomes parameters."""
    parts = urlsplit(_url(stream))
    url = urlunsplit(("wss", parts.netloc, parts.path, "", ""))
    root = fromstring(CARRIERS[kind].connect(url, Ring("", "", ""), Voice(), ""))  # noqa: S314  (our own)
    made = root.find(".//Stream")
    assert made is not None
    made.extend(stream.findall("Parameter"))
    for name, value in parse_qsl(parts.query):
        made.append(Element("Parameter", {"name": name, "value": value}))
    indent(root)
    return root


def _short(url: str) -> str:
    """Without the values of a query: they may be secrets."""
    head, mark, _ = url.partition("?")
    return head + ("?…" if mark else "")


def _unreachable(host: str) -> str:
    if any(host == name or host.endswith(f".{name}") for name in _BARE_TCP):
        return "a tunnel for bare TCP has no certificate; take one for HTTP"
    if any(host == name.lstrip(".") or (name.startswith(".") and host.endswith(name)) for name in _HERE):
        return "a name that only this machine or network knows"
    try:
        return "" if ip_address(host).is_global else "an address that nobody reaches from outside"
    except ValueError:
        return "" if host else "no host"
