"""Files to a layer: a gzipped tar that is the same, byte for byte, whenever its files are."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

# More takes twice the time for 2 % of the size.
_LEVEL = 5
_KEPT_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Layer:
    """`digest` names the packed file, `diff_id` what is in it; `size` is of the packed file, in bytes."""

    path: Path
    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One thing in a layer, at `name` ("opt/bot/app/bot.py"): a file, or a link to `link`."""

    name: str
    content: bytes | Path = b""
    executable: bool = False
    link: str = ""


def folder(root: Path, at: str, names: Iterable[str] | None = None) -> Iterator[Entry]:
    """The files below `root` (or those of them that `names` lists), at `at` in the image."""
    for name in sorted(names) if names is not None else _below(root):
        path = root / name
        if path.is_symlink() and names is None:
            yield Entry(f"{at}/{name}", link=os.readlink(path))  # noqa: PTH115 - as it stands, not resolved
        else:
            yield Entry(f"{at}/{name}", path, executable=os.access(path, os.X_OK))


def _below(root: Path) -> list[str]:
    return sorted(
        (Path(here) / name).relative_to(root).as_posix() for here, _, names in os.walk(root) for name in names
    )


def pack(entries: Iterable[Entry], to: Path) -> Layer:
    """Writes the layer to `to`, whole or not at all. Owners are root, times are zero, the order is by name."""
    partial = to.with_name(f"{to.name}.{os.getpid()}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            packed = _Digest(file)
            with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=_LEVEL, mtime=0) as squeezed:
                plain = _Digest(squeezed)
                _tar(sorted(entries, key=lambda entry: entry.name), plain)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    return Layer(to, packed.name, plain.name, packed.size)


def _tar(entries: list[Entry], to: "_Digest") -> None:
    made: set[str] = set()
    with tarfile.open(fileobj=to, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            for parent in reversed(PurePosixPath(entry.name).parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    tar.addfile(_info(str(parent), tarfile.DIRTYPE, 0o755))
            if entry.link:
                link = _info(entry.name, tarfile.SYMTYPE, 0o777)
                link.linkname = entry.link
                tar.addfile(link)
                continue
            content = entry.content.read_bytes() if isinstance(entry.content, Path) else entry.content
            info = _info(entry.name, tarfile.REGTYPE, 0o755 if entry.executable else 0o644)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info


class _Digest(io.RawIOBase):
    """Passes what is written on, and knows its digest."""

    def __init__(self, to: BinaryIO | gzip.GzipFile) -> None:
        self._to = to
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._hash.update(data)
        self.size += len(data)
        self._to.write(data)
        return len(data)

    @property
    def name(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


@dataclass(frozen=True)
class Kept:
    """Layers that were packed before, in a folder, under what they were made of."""

    root: Path

    @classmethod
    def here(cls) -> Self:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(cache) / "voicedeploy" / "layers")

    def find(self, *made_of: str) -> Layer | None:
        key = self._key(made_of)
        try:
            os.utime(self.root / f"{key}.json")
            said = json.loads((self.root / f"{key}.json").read_text("utf-8"))
            layer = Layer(**{**said, "path": self.root / f"{key}.tar.gz"})
            return layer if layer.path.stat().st_size == layer.size else None
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, entries: Iterable[Entry], *made_of: str) -> Layer:
        key = self._key(made_of)
        layer = pack(entries, self.root / f"{key}.tar.gz")
        (self.root / f"{key}.json").write_text(json.dumps(asdict(layer) | {"path": ""}), "utf-8")
        self._forget()
        return layer

    def _forget(self) -> None:
        """What nothing was made of for a month: a bot's packages are hundreds of megabytes."""
        for about in self.root.glob("*.json"):
            if time.time() - about.stat().st_mtime > _KEPT_S:
                about.with_suffix(".tar.gz").unlink(missing_ok=True)
                about.unlink(missing_ok=True)

    def _key(self, made_of: tuple[str, ...]) -> str:
        digest = hashlib.sha256()
        for text in made_of:
            digest.update(f"{len(text)}:{text}".encode())
        return digest.hexdigest()[:32]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
