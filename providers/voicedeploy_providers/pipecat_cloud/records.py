"""What the platform remembers for us: names of keys in a secret set that no agent is given. Values are never shown."""

import re
import time
from dataclasses import dataclass
from typing import Self

CHANGED = "secrets-changed"
"""Somebody set a secret since the last deployment: agents that run do not have it."""


def book(agent: str) -> str:
    """The name of the set."""
    return f"{agent}.voicedeploy"


@dataclass(frozen=True, order=True)
class Entry:
    """A release that was once deployed: `hash` is of its build context."""

    created: int
    """Seconds since 1970."""
    hash: str
    transport: str

    @property
    def release(self) -> str:
        return self.hash[:7]

    @property
    def key(self) -> str:
        return f"r-{self.hash}-{self.transport}-{self.created}"

    @classmethod
    def new(cls, hash: str, transport: str, before: tuple[Self, ...]) -> Self:
        """Newer than all of `before`."""
        return cls(max([int(time.time()), *(entry.created + 1 for entry in before)]), hash, transport)

    @classmethod
    def read(cls, key: str) -> Self | None:
        """None for a key that is none of ours."""
        found = re.fullmatch(r"r-([0-9a-f]{16})-([a-z]+)-(\d+)", key)
        return cls(int(found[3]), found[1], found[2]) if found else None
