"""Files as one stream, the same bytes for the same files wherever and whenever it is made."""

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voicedeploy.errors import StepFailed
from voicedeploy_providers.vm.ssh.channel import Send

_PIECE = 256 * 1024

# The folder gets its name when everything is in it; a cut leaves nothing that looks whole.
UNPACK = """\
set -eu
to=$1 part=$1.tmp-$2
! [ -d "$to" ] || exit 0
mkdir -p -- "$(dirname -- "$to")"
rm -rf -- "$to".tmp-*
mkdir -m 700 -- "$part"
trap 'rm -rf -- "$part"' EXIT
tar -xzpf - --no-same-owner -C "$part"
chmod 755 -- "$part"
sync -f -- "$part"
mv -T -- "$part" "$to"
"""


def pack(root: Path, files: Iterable[str], send: Send) -> None:
    """A tar.gz of `files` below `root`: sorted, of nobody, from 1970; 755 or 644; a symlink stays one."""
    pieces = _Pieces(send)
    with (
        gzip.GzipFile("", "wb", 6, pieces, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar,
        pieces.cut_short_by_errors(),
    ):
        for name in sorted(set(files)):
            path = root / name
            try:
                _add(tar, path, name)
            except OSError as error:
                raise StepFailed(f"{path} cannot be read: {error.strerror or error}") from error


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(info)
        return
    if not stat.S_ISREG(status.st_mode):
        raise StepFailed(f"{path} is neither a file nor a symlink", hint="name it in .gitignore or .dockerignore")
    with path.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        info.mode = 0o755 if status.st_mode & 0o111 else 0o644
        tar.addfile(info, file)


class _Pieces(io.RawIOBase):
    """Gathers small writes into pieces worth a packet."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._held = bytearray()

    @contextmanager
    def cut_short_by_errors(self) -> Iterator[None]:
        """After an error nothing more is sent: a stream with a proper end would be unpacked as if it were whole."""
        try:
            yield
        except BaseException:
            self._send = lambda data: None
            raise

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held += data
        if len(self._held) >= _PIECE:
            self.flush()
        return len(data)

    def flush(self) -> None:
        if self._held:
            self._send(bytes(self._held))
            self._held.clear()
