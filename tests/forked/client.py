"""`client.py SOCKET [WORD ...]`: a program's place among processes, while the server's fork of it runs."""

import json
import os
import signal
import socket
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(sys.argv[1])
streams = [0, 1, 2]
if "VOICEDEPLOY_WORKER" in os.environ:
    streams.append(json.loads(os.environ["VOICEDEPLOY_WORKER"])["control_fd"])
asked = {
    "words": sys.argv[2:],
    "folder": os.getcwd(),  # noqa: PTH109
    "env": dict(os.environ),
    "streams": streams,
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "policy": (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority),
}
where = [os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/net", "/proc/self/ns/mnt", "/")]
socket.send_fds(server, [repr(asked).encode()], [*streams, *where])
for descriptor in (*streams, *where):  # whoever reads them is to see their end when the program ends
    os.close(descriptor)
pid = int(server.recv(100))
for number in FORWARDED:
    signal.signal(number, lambda number, _frame: os.kill(pid, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
code = os.waitstatus_to_exitcode(int(server.recv(100) or 1 << 8))
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
