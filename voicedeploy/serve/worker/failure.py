"""An exception of the bot, told so that its author finds the line."""

import asyncio
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

_TAIL_LINES = 20


def describe(error: BaseException, project: Path) -> dict[str, Any]:
    """`error`, `where` (`bot.py:12`, the innermost line of the bot's own code) and `traceback` (its tail)."""
    tb = error.__traceback__
    own = [f"{_short(frame, project)}:{line}" for frame, line in _walk(tb) if _is_own(frame, project)]
    where = own[-1] if own else ""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        where = f"{_relative(error.filename, project)}:{error.lineno}"
    while tb and own and not _is_own(tb.tb_frame, project):
        tb = tb.tb_next
    lines = "".join(traceback.format_exception(type(error), error, tb)).rstrip().splitlines()
    return {
        "error": "".join(traceback.format_exception_only(error)).strip().splitlines()[-1],
        "where": where,
        "traceback": "\n".join(lines[-_TAIL_LINES:]),
    }


def stuck(frames: list[FrameType], project: Path) -> dict[str, Any]:
    """`where` and `traceback` of something that does not end; `frames` from the outermost to the innermost."""
    own = [f"{_short(frame, project)}:{frame.f_lineno}" for frame in frames if _is_own(frame, project)]
    summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames)
    lines = "".join(summary.format()).rstrip().splitlines()
    return {"where": own[-1] if own else "", "traceback": "\n".join(lines[-_TAIL_LINES:])}


def main_thread() -> list[FrameType]:
    """What the main thread is doing right now."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    frames = []
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def waiting(task: asyncio.Task[Any]) -> list[FrameType]:
    """What a task waits in, coroutine by coroutine."""
    frames, coroutine = [], task.get_coro()
    while frame := getattr(coroutine, "cr_frame", None):
        frames.append(frame)
        coroutine = coroutine.cr_await  # type: ignore[union-attr]
    return frames


def _walk(tb: TracebackType | None) -> list[tuple[FrameType, int]]:
    return [(frame, line) for frame, line in traceback.walk_tb(tb)]


def _is_own(frame: FrameType, project: Path) -> bool:
    path = Path(frame.f_code.co_filename)
    return path.is_relative_to(project) and not {"site-packages", ".venv", "dist-packages"} & set(path.parts)


def _short(frame: FrameType, project: Path) -> str:
    return _relative(frame.f_code.co_filename, project)


def _relative(name: str, project: Path) -> str:
    path = Path(name)
    return str(path.relative_to(project)) if path.is_relative_to(project) else name
