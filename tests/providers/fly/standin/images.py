"""What runs in a machine, by the reference of its image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """The program that a machine starts, where, as whom, and what the image sets in its environment.

    `root` is an unpacked file system; without it the machine sees this computer's. It writes to neither.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    user: int = 0
    group: int = 0


class Images:
    """Those that a test has added; `pull` finds others, or says None."""

    def __init__(self, pull: Callable[[str], Image | None]) -> None:
        self._known: dict[str, Image] = {}
        self._pull = pull

    def add(self, reference: str, image: Image) -> None:
        """`reference` with its tag or digest, or without: then it stands for all of them."""
        self._known[reference] = image

    def find(self, reference: str) -> Image | None:
        host, repository, _, _ = parts(reference)
        bare = f"{host}/{repository}" if host else repository
        names = (reference, bare, repository)
        return next((self._known[name] for name in names if name in self._known), None) or self._pull(reference)


def parts(reference: str) -> tuple[str, str, str, str]:
    """Registry, repository, tag and digest."""
    rest, _, digest = reference.partition("@")
    head, slash, tail = rest.partition("/")
    host, path = (head, tail) if slash and ("." in head or ":" in head) else ("", rest)
    name, _, tag = path.partition(":")
    return host, name, tag, digest
