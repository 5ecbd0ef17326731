"""The one value `transport.kind` in the text of a spec, changed where it stands; every other byte stays as it is.

A change is a guess that is tried: TOML has many ways to write a key, and only its parser knows which of the places that
look right is the one. What was not in the file is added with a mark, so that it can be taken out again without a trace.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from voicedeploy.errors import SpecError
from voicedeploy.network import Transport
from voicedeploy.spec import FILE, TransportSection

MARK = "# added by voicedeploy switch-transport"
_DEFAULT: Transport = TransportSection().kind
_LINE = rf'kind = "[a-z]+"  {MARK}'


def with_kind(text: str, kind: Transport) -> str:
    """The same file for another transport. Back at the default, what an earlier switch added is gone.

    `SpecError` where the value is written in a way that nobody writes.
    """
    document = tomllib.loads(text)
    wanted = _set(document, kind)
    before = document.get("transport", {}).get("kind")
    if (before or _DEFAULT) == kind:
        return text
    if kind == _DEFAULT and MARK in text:
        for one in _without(text):
            if _parsed(one) in (_without_kind(wanted), {**_without_kind(wanted), "transport": {}}):
                return one
    for one in _in_place(text, before, kind) if isinstance(before, str) else _added(text, kind):
        if _parsed(one) == wanted:
            return one
    raise SpecError(
        f'{FILE}: transport.kind: cannot be changed to "{kind}" without touching more than that',
        hint=f'write it yourself:\n[transport]\nkind = "{kind}"',
    )


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _set(document: dict[str, Any], kind: Transport) -> dict[str, Any]:
    return {**document, "transport": {**document.get("transport", {}), "kind": kind.value}}


def _without_kind(document: dict[str, Any]) -> dict[str, Any]:
    """Without the table too, where nothing else is in it."""
    rest = {key: value for key, value in document["transport"].items() if key != "kind"}
    others = {key: value for key, value in document.items() if key != "transport"}
    return {**others, "transport": rest} if rest else others


def _in_place(text: str, before: str, kind: Transport) -> Iterator[str]:
    """Wherever the word stands in quotes."""
    for found in re.finditer(rf"(?<=[\"']){re.escape(before)}(?=[\"'])", text):
        yield text[: found.start()] + kind + text[found.end() :]


def _end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _added(text: str, kind: Transport) -> Iterator[str]:
    end, line = _end(text), f'kind = "{kind}"  {MARK}'
    key = r"""(?:transport|"transport"|'transport')"""
    for header in re.finditer(rf"(?m)^[ \t]*\[[ \t]*{key}[ \t]*\][^\r\n]*", text):
        yield f"{text[: header.end()]}{end}{line}{text[header.end() :]}"
    for table in re.finditer(rf"(?m)^([ \t]*){key}[ \t]*=[ \t]*{{[ \t]*(}}?)", text):
        comma = "" if table[2] else ", "
        at = table.end() - len(table[2])
        inside = f'{text[table.start() : at]}kind = "{kind}"{comma}{text[at:]}'
        yield f"{text[: table.start()]}{MARK}{end}{inside}"
    for dotted in re.finditer(rf"(?m)^([ \t]*){key}[ \t]*\.", text):
        yield f"{text[: dotted.start()]}{dotted[1]}transport.{line}{end}{text[dotted.start() :]}"
    # A file without a newline at its end gets none.
    gap, last = (end, end) if text.endswith("\n") or not text else (end * 2, "")
    yield f"{text}{gap}[transport]  {MARK}{end}{line}{last}"


def _without(text: str) -> Iterator[str]:
    """The other way round, for each way in which it may have been added."""
    for table in re.finditer(rf"\[transport\]  {MARK}\r?\n{_LINE}(\r?\n|)\Z", text):
        before = text[: table.start()]
        for _ in range(1 if table[1] else 2):
            before = before.removesuffix("\n").removesuffix("\r")
        yield before
    for pattern, left in (
        (rf"\r?\n{_LINE}(?=\r?\n|\Z)", ""),
        (rf"(?m)^[ \t]*transport\.{_LINE}\r?\n", ""),
        (rf'(?m)^{MARK}\r?\n(.*?\{{[ \t]*)kind = "[a-z]+"(?:, )?', r"\1"),
    ):
        for found in re.finditer(pattern, text):
            yield text[: found.start()] + found.expand(left) + text[found.end() :]
