"""A process that is watched until it is gone, also one that is not our child."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

# Without a pidfd (macOS) a process is asked after this often.
POLL_S = 0.1


class Process:
    """`gone` is set once the process has ended; it is reaped if it is, or became, our child.

    `code` is the exit code, negative for a signal, None while it runs or if only its parent could know.
    """

    def __init__(self, pid: int, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.code: int | None = None
        self.gone = asyncio.Event()
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._pidfd: int | None = None
        self._poll: asyncio.TimerHandle | None = None
        if sys.platform == "linux":
            try:
                self._pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._ended()
                return
            except OSError:
                # No descriptors left, or a kernel without them: it is watched the slow way.
                self._look()
                return
            self._loop.add_reader(self._pidfd, self._ended)
        else:
            self._look()

    def kill(self) -> None:
        """SIGKILL to the process and, where it leads a group, to all of it."""
        if self.gone.is_set():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            elif sys.platform == "linux" and self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    def _look(self) -> None:
        if self._popen is not None:
            running = self._popen.poll() is None
        else:
            try:
                os.kill(self.pid, 0)
                running = True
            except ProcessLookupError:
                running = False
        if running:
            self._poll = self._loop.call_later(POLL_S, self._look)
        else:
            self._ended()

    def _ended(self) -> None:
        if self.gone.is_set():
            return
        if self._popen is not None:
            self.code = self._popen.wait()
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            if self._popen is None and sys.platform == "linux":
                # An orphan that fell to us (as PID 1 of a container) would stay a zombie.
                with contextlib.suppress(ChildProcessError):
                    os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
            os.close(self._pidfd)
            self._pidfd = None
        # What the process started and left behind in its group. A group's number is not given out again
        # while somebody is in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.pid != os.getpgrp():
                os.killpg(self.pid, signal.SIGKILL)
        self.gone.set()
