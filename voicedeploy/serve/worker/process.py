"""What a process asks of the kernel: to die with its parent, its name, its turn, its core, its memory."""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from .log import log

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

# Above the front (0): when the machine runs out of memory, a call goes, not everything.
_OOM_SCORE_OF_A_CALL = 500

# Nine times the share of what the front itself may have, and soon its turn. A call that only computes leaves a tenth.
_NICER = -10

# RLIMIT_DATA counts what is mapped writable, so also the 8 MiB stack of each of aiortc's and the executors'
# threads, of which only some KiB are ever touched.
_STACKS = 64 << 20

_PIPE_BYTES = 1 << 18
_F_SETPIPE_SZ = 1031


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def die_with_parent() -> None:
    """SIGKILL when the parent's thread that started this process ends; elsewhere end of file has to do."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def set_name(name: str) -> None:
    """The name `ps` and `top` show; the kernel keeps 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def deaf_to_the_terminal() -> None:
    """SIGINT and SIGTERM are for the front, which ends its processes itself, each in its own time.

    A handler, not SIG_IGN: that would be inherited by the programs the bot runs, which then could not be ended.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def write_to(log_fd: int) -> None:
    """Makes `log_fd` stdout and stderr, and leaves nothing to read from stdin."""
    for target in (1, 2):
        os.dup2(log_fd, target)
    os.close(log_fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def widen_log() -> None:
    """A reader that is late for a moment must not stop the call's loop."""
    if sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(2, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            return  # not a pipe, or the user's pipes are at their limit


def prefer_for_oom() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_OF_A_CALL))
    except OSError:
        return  # not Linux, or a container that forbids it


def come_first() -> None:
    """Before the rest of its control group, where that is allowed: a bot that loads can wait, a listener cannot."""
    try:
        os.nice(_NICER)
    except OSError:
        return  # neither root nor given RLIMIT_NICE


def stay_on(core: int) -> None:
    """Keeps this process and its threads on one core.

    aiortc hands frames between threads; on several cores the interpreter lock then bounces between them, and a
    process gets less done than on one.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        log(f"cannot stay on core {core}: {error.strerror}")


def limit_memory(room: int) -> None:
    """Lets this process map `room` bytes more than it has now; then allocations fail with MemoryError."""
    try:
        now = _data_bytes()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = now + room + _STACKS
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (OSError, ValueError) as error:
        log(f"no limit of memory for this call: {error}")


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmData")
