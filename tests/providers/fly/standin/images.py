"""What runs in a machine, by the reference of its image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """The program that a machine starts, and what the image sets in its environment."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


class Images:
    def __init__(self) -> None:
        self._known: dict[str, Image] = {}

    def add(self, reference: str, image: Image) -> None:
        """`reference` with its tag or digest, or without: then it stands for all of them."""
        self._known[reference] = image

    def find(self, reference: str) -> Image | None:
        repository = parts(reference)[1]
        host = parts(reference)[0]
        bare = f"{host}/{repository}" if host else repository
        return self._known.get(reference) or self._known.get(bare) or self._known.get(repository)


def parts(reference: str) -> tuple[str, str, str, str]:
    """Registry, repository, tag and digest."""
    rest, _, digest = reference.partition("@")
    head, slash, tail = rest.partition("/")
    host, path = (head, tail) if slash and ("." in head or ":" in head) else ("", rest)
    name, _, tag = path.partition(":")
    return host, name, tag, digest
