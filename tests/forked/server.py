"""`server.py commands|programs SOCKET`: forks one for each client, until its own standard input is closed."""

import ast
import ctypes
import fcntl
import gc
import importlib
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

MOST = 200_000
"""Bytes of what a client says, most of it the environment."""
NOT_TO_IMPORT = ("voicedeploy.serve.worker", "voicedeploy.call.proof")
"""To be run."""
OF_PROGRAMS = (
    "httpx",
    "openai",
    "pipecat.pipeline.worker",
    "pipecat.runner.run",
    "pipecat.runner.utils",
    "pipecat.serializers.protobuf",
    "pipecat.transports.smallwebrtc.request_handler",
    "pipecat.transports.smallwebrtc.transport",
    "pipecat.transports.websocket.fastapi",
    "pipecat.workers.runner",
    "uvicorn",
    "websockets.server",
)
SPACES = ("net", "mnt")
"""Of a client, also where it has its own."""


def commands() -> None:
    for name in ("voicedeploy", "voicedeploy_providers"):
        import_all(importlib.import_module(name))


def import_all(package: ModuleType) -> None:
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.name in NOT_TO_IMPORT or module.name.endswith("__main__"):
            continue
        made = importlib.import_module(module.name)
        if module.ispkg:
            import_all(made)


def programs() -> None:
    for name in OF_PROGRAMS:
        importlib.import_module(name)


def serve(path: str) -> list[str]:
    """Returns in a child, with the client's words."""
    running: dict[socket.socket, int] = {}
    ended: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as ready, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(path)
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
                    said, handed, _, _ = socket.recv_fds(client, MOST, 4 + len(SPACES))
                    if not said:  # killed before it could ask
                        client.close()
                        continue
                    pid = os.fork()
                    if not pid:
                        for other in (client, *running):
                            other.close()
                        for process in ended:
                            os.close(process)
                        return become(ast.literal_eval(said.decode()), handed)
                    for descriptor in handed:
                        os.close(descriptor)
                    process = os.pidfd_open(pid)
                    running[client], ended[process] = pid, client
                    ready.register(client, selectors.EVENT_READ)
                    ready.register(process, selectors.EVENT_READ)
                    with suppress(OSError):
                        client.send(str(pid).encode())
                elif isinstance(key.fileobj, socket.socket):  # its client was killed
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


def become(asked: dict[str, Any], handed: list[int]) -> list[str]:
    # Above the numbers that they are to have.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100) for descriptor in handed]
    for descriptor in handed:
        os.close(descriptor)
    for number, stream in zip(asked["streams"], high, strict=False):
        os.dup2(stream, number)
        os.close(stream)
    for name, there in zip(SPACES, high[-len(SPACES) :], strict=True):
        if os.fstat(there).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:  # noqa: PTH116
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(there, 0):
                raise OSError(ctypes.get_errno(), f"to another {name} namespace")
        os.close(there)
    # Those that Python made are for what the server has there.
    ways = (("stdin", "r", -1), ("stdout", "w", -1), ("stderr", "w", 1))
    for number, (name, mode, buffering) in enumerate(ways):
        setattr(sys, name, open(number, mode, buffering, closefd=False))  # noqa: SIM115
    os.setpgid(0, 0)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    words: list[str] = asked["words"]
    return words


def leave(running: dict[socket.socket, int]) -> NoReturn:
    for pid in running.values():
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def main() -> None:
    kind, path = sys.argv[1:]
    commands() if kind == "commands" else programs()
    gc.collect()
    gc.freeze()
    words = serve(path)
    if kind == "commands":
        from voicedeploy.cli import main as command

        sys.argv = ["voicedeploy", *words]
        sys.exit(command())
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent))
    sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    runpy.run_path(words[0], run_name="__main__")


main()
