"""Changes of a file: made into a unified diff, and put into the file from one.

The header of a diff carries a digest of the file it was made against, after the tab where `patch` and git expect a
time. So a file that has changed since is never patched.
"""

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicedeploy.errors import NotReady
from voicedeploy.lint.fault import Fault


@dataclass(frozen=True)
class Edit:
    """Put `text` in place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class _Hunk:
    """Lines from `first` (counted from 0) to before `last` become `lines`; of `before`, nothing may have changed."""

    first: int
    last: int
    lines: tuple[str, ...]


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with the edits, which must not overlap; those at one place in their order."""
    for edit in reversed(sorted(edits, key=lambda e: (e.start, e.end))):  # noqa: C413  (keeps the order of equals)
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def diff(path: str, text: str, edits: Iterable[Edit]) -> str:
    """The edits as a unified diff."""
    lines = difflib.unified_diff(
        _lines(text), _lines(edited(text, edits)), f"a/{path}", f"b/{path}", f"sha256:{_digest(text)}", lineterm="\n"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def apply(root: Path, faults: Sequence[Fault]) -> list[str]:
    """Put the patches of `faults` into the files below `root`; the paths of those that changed, sorted.

    Where two patches change the same lines only the first is taken: the lint finds what the other one was for again.
    Nothing is written if any file is not the one that was looked at: `NotReady`.
    """
    wanted: dict[str, dict[str, None]] = {}
    for fault in faults:
        if fault.patch:
            wanted.setdefault(fault.path, {})[fault.patch] = None
    new = {path: _patched(root / path, path, list(patches)) for path, patches in wanted.items()}
    for path, data in new.items():
        (root / path).write_bytes(data)
    return sorted(new)


def _patched(file: Path, path: str, patches: Sequence[str]) -> bytes:
    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        raise NotReady(f"{path}: {error}", hint="run it again") from None
    taken: list[_Hunk] = []
    for patch in patches:
        said = re.search(r"^--- [^\t\n]*\tsha256:(\w+)$", patch, re.M)
        if said is None or said[1] != _digest(text):
            raise NotReady(f"{path} has changed since it was looked at", hint="nothing was changed; run it again")
        hunks = _hunks(patch)
        if not any(_collide(hunk, other) for hunk in hunks for other in taken):
            taken += [hunk for hunk in hunks if hunk not in taken]
    lines = _lines(text)
    for _, hunk in sorted(enumerate(taken), key=lambda item: (item[1].first, item[1].last, item[0]), reverse=True):
        lines[hunk.first : hunk.last] = hunk.lines
    return "".join(lines).encode("utf-8")


def _collide(one: _Hunk, other: _Hunk) -> bool:
    """Two insertions at one place do not, and the same change twice is one change."""
    if one == other:
        return False
    return max(one.first, other.first) < min(one.last, other.last) or (
        one.first != one.last and other.first == other.last and one.first < other.first < one.last
    )


def _hunks(patch: str) -> list[_Hunk]:
    """The changes of a unified diff, each without the lines around it."""
    found: list[_Hunk] = []
    old, first, added = 0, 0, list[str]()

    def close() -> None:
        if old > first or added:
            found.append(_Hunk(first, old, tuple(added)))

    for line in _lines(patch)[2:]:
        if header := re.match(r"@@ -(\d+)(?:,(\d+))? \+", line):
            close()
            old = first = int(header[1]) - (header[2] != "0")
            added = []
        elif line.startswith(" "):
            close()
            old = first = old + 1
            added = []
        elif line.startswith("-"):
            old += 1
        elif line.startswith("+"):
            added.append(line[1:])
        elif line.startswith("\\") and added:
            added[-1] = added[-1].removesuffix("\n")
    close()
    return found


def _lines(text: str) -> list[str]:
    """Only `\\n` ends a line, as for `patch`."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
