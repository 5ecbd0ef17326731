"""`server.py [MODULE ...]`: forks a program for each client, until its own standard input is closed."""

import ast
import atexit
import ctypes
import fcntl
import gc
import importlib
import io
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

MOST = 200_000
"""Bytes of what a client says, most of it the environment."""
WHERE = ("net", "mnt", "root")
"""What a client hands over last: two namespaces and a folder."""
NOT_TO_IMPORT = ("voicedeploy.serve.worker", "voicedeploy.call.proof")
"""To be run."""


def import_all(name: str) -> None:
    module = importlib.import_module(name)
    if name.partition(".")[0] not in ("voicedeploy", "voicedeploy_providers") or not hasattr(module, "__path__"):
        return
    for below in pkgutil.iter_modules(module.__path__, f"{name}."):
        if below.name not in NOT_TO_IMPORT and not below.name.endswith("__main__"):
            import_all(below.name)


def serve() -> list[str]:
    """Returns in a child, with the client's words."""
    running: dict[socket.socket, int] = {}
    ended: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as ready, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind("door")
        Path("door").chmod(0o666)
        door.listen(16)
        ready.register(door, selectors.EVENT_READ)
        ready.register(0, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        while True:
            for key, _ in ready.select():
                if key.fileobj == 0:
                    leave(running)
                elif key.fileobj is door:
                    client, _ = door.accept()
                    said, handed = b"", list[int]()
                    with suppress(OSError):
                        said, handed, _, _ = socket.recv_fds(client, MOST, 4 + len(WHERE))
                    if not said:  # killed before it could ask
                        client.close()
                        continue
                    pid = os.fork()
                    if not pid:
                        peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                        _, user, group = struct.unpack("3i", peer)
                        for other in (client, *running):
                            other.close()
                        for process in ended:
                            os.close(process)
                        return become(ast.literal_eval(said.decode()), handed, user, group)
                    for descriptor in handed:
                        os.close(descriptor)
                    process = os.pidfd_open(pid)
                    running[client], ended[process] = pid, client
                    ready.register(client, selectors.EVENT_READ)
                    ready.register(process, selectors.EVENT_READ)
                    with suppress(OSError):
                        client.send(str(pid).encode())
                elif isinstance(key.fileobj, socket.socket):
                    if key.fileobj in running:  # its client was killed, and it has not ended just now itself
                        ready.unregister(key.fileobj)
                        os.kill(running[key.fileobj], signal.SIGKILL)
                else:
                    process = key.fd
                    ready.unregister(process)
                    os.close(process)
                    client = ended.pop(process)
                    _, status = os.waitpid(running.pop(client), 0)
                    with suppress(OSError):
                        client.send(str(status).encode())
                    with suppress(KeyError):
                        ready.unregister(client)
                    client.close()


def become(asked: dict[str, Any], handed: list[int], user: int, group: int) -> list[str]:
    # Above the numbers that they are to have.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100) for descriptor in handed]
    for descriptor in handed:
        os.close(descriptor)
    for number, stream in zip(asked["streams"], high, strict=False):
        os.dup2(stream, number)
        os.close(stream)
    # Those that Python made are for what the server has there.
    for number, (name, mode, buffering) in enumerate((("stdin", "r", -1), ("stdout", "w", -1), ("stderr", "w", 1))):
        setattr(sys, name, open(number, mode, buffering, closefd=False))  # noqa: SIM115
    os.setpgid(0, 0)
    *spaces, root = high[-len(WHERE) :]
    for name, there in zip(WHERE, spaces, strict=False):
        if os.fstat(there).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:  # noqa: PTH116
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(there, 0):
                raise OSError(ctypes.get_errno(), f"to another {name} namespace")
        os.close(there)
    if not os.path.samestat(os.fstat(root), os.stat("/")):  # noqa: PTH116
        os.fchdir(root)
        os.chroot(".")
    os.close(root)
    if asked["nice"] != os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, asked["nice"])
    policy, priority = asked["policy"]
    if policy != os.sched_getscheduler(0):
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    if user != os.getuid():
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    words: list[str] = asked["words"]
    return words


def leave(running: dict[socket.socket, int]) -> NoReturn:
    for pid in running.values():
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def run(words: list[str]) -> None:
    """As Python takes its own arguments."""
    flags = ""
    while words[0].startswith("-") and words[0] != "-m":
        flags += words.pop(0)
    if "u" in flags or os.environ.get("PYTHONUNBUFFERED"):
        raw = open(1, "wb", 0, closefd=False)  # noqa: SIM115
        sys.stdout = io.TextIOWrapper(raw, write_through=True)
    if words[0] == "-m":
        module = sys.modules.get(words[1])
        if isinstance(module, ModuleType) and not hasattr(module, "__path__"):
            del sys.modules[words[1]]  # it is made anew
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    if not {"I", "P"} & {*flags}:
        sys.path.insert(0, str(Path(words[0]).parent))
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


def outcome(words: list[str]) -> int:
    """The exit code, negative for a signal, as Python would have it."""
    try:
        run(words)
    except SystemExit as over:
        if over.code is None or isinstance(over.code, int):
            return (over.code or 0) & 0xFF
        sys.stderr.write(f"{over.code}\n")
        return 1
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        return -signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def end(code: int) -> NoReturn:
    """Without taking apart what the server has, page by page."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


for name in sys.argv[1:]:
    import_all(name)
python = str(Path.cwd() / "python")
gc.collect()
gc.freeze()
words = serve()
if "FORKS" in os.environ:
    sys.executable = python
end(outcome(words))
