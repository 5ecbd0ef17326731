"""Who has this machine's processor, in the place of the machines that the lab plays.

Whoever calls is on a machine of their own: what this one does besides must not keep them from hearing in time. `nice`
would not do. It counts within a control group, or within a session where the kernel groups those (`autogroup`), and a
host that installs something is such a group: callers waited 400 ms for one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

POLICY = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
REALTIME = ("chrt", "--fifo", "1")
"""Before a command that computes little: it comes before all else, with what it starts."""


@contextmanager
def first_in_turn() -> Iterator[None]:
    """This thread before all else, but nothing that it starts."""
    before, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, POLICY, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, parameter)


@contextmanager
def nicer() -> Iterator[None]:
    """This process and what it starts, before others of its session."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
