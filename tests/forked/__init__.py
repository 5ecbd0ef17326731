"""Python programs without the second or two of processor that each start and its imports take.

`command` and `program` are what a `Popen` runs. That small program (`client`) hands its words, folder, environment,
namespaces and standard streams to a process which has imported everything (`server`), and which forks the wanted one:
that is in all the real one, from its `main` on. Signals to the small program reach it, how it ends is how both end, and
killed they are together.

What is about the start of a program, or about where it is installed, runs the real one.
"""

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from voicedeploy.serve.nursery import WORKER

HERE = Path(__file__).parent
PYTHON = (sys.executable, "-I", "-S", "-B")


def command(*words: str) -> list[str]:
    """`voicedeploy` and these words."""
    return [*PYTHON, str(HERE / "client.py"), _serving("commands"), *words]


def program(file: Path, *words: str) -> list[str]:
    """A file that would import Pipecat first of all; unbuffered."""
    return [*PYTHON, str(HERE / "client.py"), _serving("programs"), str(file), *words]


@functools.cache
def worker() -> Path:
    """The bots' side of a front, in place of its folder: what a front is told to start."""
    server = _serving("programs")
    client = str(HERE / "client.py")
    file = Path(server).with_name("worker.py")
    file.write_text(f"import runpy, sys\nsys.argv[1:] = [{server!r}, {str(WORKER)!r}]\nrunpy.run_path({client!r})\n")
    return file


@functools.cache
def _serving(kind: str) -> str:
    """The socket of a server for this process, which ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="vdf-")
    socket = f"{folder.name}/door"
    server = subprocess.Popen(
        [sys.executable, "-P", str(HERE / "server.py"), kind, socket],
        env={**os.environ, "NO_COLOR": "1", "OPENBLAS_NUM_THREADS": "1"},  # where threads are, nothing is forked
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip

    def end() -> None:
        assert server.stdin
        server.stdin.close()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    assert server.stdout
    assert server.stdout.readline() == b"ready\n", f"the server of {kind} did not start"
    return socket
