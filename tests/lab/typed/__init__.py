"""`voicedeploy` as it is typed, without the second of processor that each start of Python and its imports takes.

`argv` is what a `Popen` runs. That small program (`client`) hands its words, folder, environment, network and standard
streams to a process which has imported everything (`server`), and which forks the command: it is in all the real one,
from its `main` on. Signals to the small program reach the command, how that ends is how it ends, and killed together
they are.

What is about the start of a command, or about where it is installed, runs the real one.
"""

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = (sys.executable, "-I", "-S", "-B")


def argv(*words: str) -> list[str]:
    return [*PYTHON, str(HERE / "client.py"), _serving(), *words]


@functools.cache
def _serving() -> str:
    """The socket of this process' own server, which ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="vdt-")
    socket = f"{folder.name}/typed"
    server = subprocess.Popen(
        [sys.executable, "-P", str(HERE / "server.py"), socket],
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
    assert server.stdout.readline() == b"ready\n", "the server of commands did not start"
    return socket
