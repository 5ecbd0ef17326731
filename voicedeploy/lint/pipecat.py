"""What a release of Pipecat has, and what it has no more: `voicedeploy/data/pipecat-*`."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

_DATA = Path(__file__).parent.parent / "data"
_TABLE = _DATA / "pipecat-1.14.json"
_REMOVED = _DATA / "pipecat-removed.toml"
_FAMILY = "pipecat.transports.base_transport.TransportParams"
_UNREAD = ("pipecat.cli", "pipecat.tests")


@dataclass(frozen=True)
class Old:
    """Something deprecated: since which release, and what the release says to do."""

    since: Version
    instead: str


class Pipecat:
    """The release that the rules were written for."""

    def __init__(self, table: Mapping[str, Any], removed: Mapping[str, Any]) -> None:
        self.version = Version(table["version"])
        self.removed = removed
        self._table = table
        self._names = {name: frozenset(module["names"].split()) for name, module in table["modules"].items()}

    # --- modules and names --------------------------------------------------------------------------

    def has_module(self, module: str) -> bool:
        return module in self._names or module.startswith(_UNREAD)

    def has(self, module: str, name: str) -> bool:
        """Whether `name` can be imported from a module that there is."""
        if module not in self._names or self._table["modules"][module]["open"] or name.startswith("_"):
            return True
        return name in self._names[module] or f"{module}.{name}" in self._names

    def is_empty_package(self, module: str) -> bool:
        """Packages of services, whose classes are in their modules alone since 1.0."""
        return module.startswith("pipecat.services.") and self._names.get(module) == frozenset()

    def names(self, module: str) -> frozenset[str]:
        return self._names.get(module, frozenset())

    def homes(self, name: str, near: str = "") -> list[str]:
        """The modules where `name` is, those below `near` first, then the shortest."""
        found = [m for m, names in self._names.items() if name in names and self.where(f"{m}.{name}") == f"{m}.{name}"]
        return sorted(found, key=lambda m: (not m.startswith(f"{near}."), m.count("."), m))

    def where(self, name: str) -> str:
        """The dotted name of the thing that may also be imported as `name`."""
        for _ in range(5):
            owner, _, last = name.rpartition(".")
            there = self._table["aliases"].get(name)
            if there is None and owner in self._names:
                there = self._table["modules"][owner]["from"].get(last)
            if there is None and "." in owner and owner not in self._names:
                outer = self.where(owner)
                there = f"{outer}.{last}" if outer != owner else None
            if there is None or there == name:
                return name
            name = there
        return name

    # --- classes ------------------------------------------------------------------------------------

    def fields(self, cls: str) -> frozenset[str] | None:
        """What a class accepts and can say; None where this is not known."""
        fields = self._table["classes"].get(cls, {}).get("fields")
        return None if fields is None else frozenset(fields)

    def drops(self, cls: str) -> bool:
        """Whether the class drops unknown keywords without a word; else it raises."""
        return bool(self._table["classes"].get(cls, {}).get("unknown") == "dropped")

    def line(self, cls: str) -> Iterator[str]:
        """The class and what it is derived from, nearest first."""
        yield cls
        yield from self._table["bases"].get(cls, ())

    def is_transport_params(self, cls: str) -> bool:
        return _FAMILY in self.line(cls)

    def once(self, cls: str, keyword: str) -> Mapping[str, Any]:
        """What is known of a keyword that the class had; empty where nothing is."""
        for name in self.line(cls):
            row = self.removed["keywords"].get(name.rpartition(".")[2], {}).get(keyword)
            if row is not None:
                return dict(row)
        return {}

    def speech_to_text(self, cls: str) -> Mapping[str, Any] | None:
        """`p99` (s, None: not measured), `final` (marks complete transcripts), `turns` (can decide on turns itself)."""
        heard: Mapping[str, Any] | None = self._table["stt"].get(cls)
        return heard

    # --- deprecations -------------------------------------------------------------------------------

    def old(self, name: str) -> Old | None:
        return _old(self._table["deprecated"].get(name))

    def old_keyword(self, cls: str, keyword: str) -> Old | None:
        return _old(self._table["classes"].get(cls, {}).get("deprecated", {}).get(keyword))

    def old_method(self, name: str) -> Old | None:
        return _old(self._table["methods"].get(name))


def _old(row: Mapping[str, str] | None) -> Old | None:
    return Old(Version(row["since"]), row["instead"]) if row else None


def version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


@cache
def pipecat() -> Pipecat:
    return Pipecat(json.loads(_TABLE.read_text("utf-8")), tomllib.loads(_REMOVED.read_text("utf-8")))
