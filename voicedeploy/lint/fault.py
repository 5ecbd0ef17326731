"""What the lint says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """One thing in the project's own files that is wrong, or slow.

    `path` is relative to the project, with `/`. `patch` is a unified diff for `patch -p1`, "" where nobody can write it
    without knowing more. `cost_ms` is what every answer of the bot takes longer because of it.
    """

    code: str
    severity: Literal["error", "warning"]
    path: str
    line: int
    message: str
    fix: str
    patch: str = ""
    cost_ms: int = 0
