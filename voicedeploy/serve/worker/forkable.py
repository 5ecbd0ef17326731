"""Whether a process that has imported the bot may be forked."""

import sys
import threading
from pathlib import Path


def obstacle() -> str:
    """Why this process must not be forked, or an empty string.

    A fork takes only the calling thread along: a lock another one holds stays locked, a pool without its
    threads waits for ever. Threads of numpy and onnxruntime are made anew by their libraries; those carry the
    process's own name, which tells them from the named threads of gRPC and other runtimes.
    """
    if sys.platform == "darwin":
        return "macOS's own libraries do not survive a fork"
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    unseen = len(sys._current_frames()) - 1 - len(names)
    if unseen > 0:
        names.append(f"{unseen} without a name")
    if names:
        return "importing the bot started threads: " + ", ".join(names)
    foreign = sorted(_named_threads())
    if foreign:
        return "importing the bot started native threads: " + ", ".join(foreign)
    return ""


def _named_threads() -> set[str]:
    try:
        own = Path("/proc/self/comm").read_text().strip()
        names = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    except OSError:
        return set()
    return names - {own}
