"""Python without the second or two of processor that each start and its imports take.

A `Server` has imported everything, and forks each program that its `python` is to run. That is a small program itself
(`client`): it hands over its words, folder, root, namespaces, environment, user and standard streams. The fork is the
real program from its first line on: signals to the small one reach it, how it ends is how both end, and killed they are
together. Where `FORKS` is in the environment, what it starts by `sys.executable` is forked too.

What is about the start of a program, or about where it is installed, runs the real one.
"""

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


class Server:
    """Ends with this process. `modules` are imported, those of a package all of them."""

    def __init__(self, *modules: str) -> None:
        folder = tempfile.TemporaryDirectory(prefix="vdf-")
        process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "server.py"), *modules],
            cwd=folder.name,
            env={**os.environ, "NO_COLOR": "1", "OPENBLAS_NUM_THREADS": "1"},  # where threads are, nothing is forked
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

        def end() -> None:
            assert process.stdin
            process.stdin.close()
            process.wait()
            folder.cleanup()

        atexit.register(end)
        self.python = Path(folder.name, "python")
        # So it is found from any root and disk: a socket's own path leads nowhere on a disk that is laid over another.
        door = f"/proc/{process.pid}/cwd/door"
        self.python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S -B {HERE}/client.py {door} "$@"\n')
        self.python.chmod(0o755)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", f"the server of {modules} did not start"


@functools.cache
def ours() -> Server:
    """All of voicedeploy."""
    return Server("voicedeploy", "voicedeploy_providers")


@functools.cache
def bots() -> Server:
    """What a bot imports, and a program that serves one."""
    return Server(
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


def command(*words: str) -> list[str]:
    """`voicedeploy` and these words."""
    return [str(ours().python), "-m", "voicedeploy", *words]


def bot(file: Path, *words: str) -> list[str]:
    """A program that begins with Pipecat."""
    return [str(bots().python), "-u", str(file), *words]
