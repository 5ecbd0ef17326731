"""The process that has loaded the bot and becomes, by fork, the process of each call.

It has no event loop, no executor and no pipeline: what a fork must not find is not there.
"""

import os
import select
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .process import deaf_to_the_terminal, die_with_parent, write_to
from .wire import Channel, Closed

Live = Callable[[Channel], None]
"""Is the child: the process of one call, with its own channel to the front. Does not come back."""


@dataclass
class Zygote:
    channel: Channel
    live: Live
    children: dict[int, str] = field(default_factory=dict)
    """Names by process id."""

    def serve(self) -> None:
        """Forks and reaps until the front is gone."""
        deaf_to_the_terminal()
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        while True:
            readable, _, _ = select.select([self.channel.sock, woken], [], [])
            if woken in readable:
                woken.recv(4096)
                self._reap()
            if self.channel.sock in readable:
                try:
                    messages = self.channel.receive(0)
                except Closed:
                    return
                for message in messages:
                    if message.get("op") == "fork":
                        self._fork(message["child"], [woken, wake])

    def _fork(self, name: str, ours: list[socket.socket]) -> None:
        control, log_fd = self.channel.descriptors(2)
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        try:
            with warnings.catch_warnings():
                # Python counts native threads too; forkable.py has looked at them.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError as error:
            os.close(control)
            os.close(log_fd)
            self.channel.send({"event": "exited", "child": name, "pid": 0, "error": f"fork: {error.strerror}"})
            return
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for sock in ours:
                    sock.close()
                self.channel.close()
                write_to(log_fd)
                self._be_child(control, parent)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(control)
        os.close(log_fd)
        self.children[pid] = name
        self.channel.send({"event": "forked", "child": name, "pid": pid})

    def _be_child(self, control: int, parent: int) -> None:
        die_with_parent()
        if os.getppid() != parent:
            return  # it died before the kernel was asked
        self.live(Channel.from_fd(control))

    def _reap(self) -> None:
        # By id, not -1: programs the bot's import has started are its own to wait for.
        for pid in list(self.children):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if not ended:
                continue
            self.channel.send(exited(self.children.pop(pid), pid, status, usage))


def exited(name: str, pid: int, status: int, usage: Any) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    # Linux counts the largest resident set in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "event": "exited",
        "child": name,
        "pid": pid,
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "max_rss": usage.ru_maxrss * unit,
    }
