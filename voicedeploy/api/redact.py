"""Errors of a platform can repeat what was sent; this takes it out again."""

import base64
import json
from collections.abc import Collection, Iterable
from typing import Any


def hidden(text: str, *, body: Any, private: Collection[str], secrets: Collection[str]) -> str:
    """`text` without `secrets` and without what stands in `body` below a key of `private`, as it is, or as JSON or
    base64 writes it."""
    values = {*secrets, *_private(body, private)}
    ways = {way for value in values if value for way in _written(value)}
    for way in sorted(ways, key=len, reverse=True):
        text = text.replace(way, "…")
    return text


def _private(body: Any, private: Collection[str], inside: bool = False) -> Iterable[str]:
    match body:
        case dict():
            for key, value in body.items():
                yield from _private(value, private, inside or key in private)
        case list():
            for value in body:
                yield from _private(value, private, inside)
        case str() if inside:
            yield body


def _written(value: str) -> Iterable[str]:
    yield value
    yield base64.b64encode(value.encode()).decode()
    for ascii_only in (True, False):
        quoted = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield quoted
        yield json.dumps(quoted)[1:-1]
        # Go writes these so.
        yield quoted.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
