"""Becomes a program in another root, as another user, that dies with whoever started this."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

root, cwd, user, group, *argv = sys.argv[1:]
libc = ctypes.CDLL(None)
os.chroot(root)
os.chdir(cwd)
if int(user):
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
# After the change of user, which would undo it.
libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
try:
    os.execvp(argv[0], argv)  # noqa: S606
except OSError as error:
    sys.exit(f"could not start {argv[0]}: {error}")
