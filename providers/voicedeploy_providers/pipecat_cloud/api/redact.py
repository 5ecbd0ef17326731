"""Errors can repeat what was sent; this takes it out again."""

import base64
import json
from collections.abc import Iterable
from typing import Any

_PRIVATE = frozenset({"secretValue", "body", "dailyMeetingTokenProperties", "token"})
"""Below these keys of a request every text may be a secret."""


def hidden(text: str, body: Any, *secrets: str) -> str:
    """`text` without `secrets` and without the private values of `body`, as they are, as JSON or base64 writes them."""
    values = {*secrets, *_private(body)}
    ways = {way for value in values if value for way in _written(value)}
    for way in sorted(ways, key=len, reverse=True):
        text = text.replace(way, "…")
    return text


def _private(body: Any, inside: bool = False) -> Iterable[str]:
    match body:
        case dict():
            for key, value in body.items():
                yield from _private(value, inside or key in _PRIVATE)
        case list():
            for value in body:
                yield from _private(value, inside)
        case str() if inside:
            yield body


def _written(value: str) -> Iterable[str]:
    yield value
    yield base64.b64encode(value.encode()).decode()
    for ascii_only in (True, False):
        quoted = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield quoted
        yield json.dumps(quoted)[1:-1]
