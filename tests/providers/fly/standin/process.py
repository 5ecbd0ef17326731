"""A machine's program as a local process."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil


class Process:
    """Started by `start`; `ended` is its exit code, negative for a signal."""

    def __init__(self, process: asyncio.subprocess.Process, said: Callable[[str], None]) -> None:
        self._process = process
        self.pid = process.pid
        self._reading = asyncio.create_task(_lines(process, said))

    @classmethod
    async def start(cls, argv: Sequence[str], env: Mapping[str, str], said: Callable[[str], None]) -> "Process":
        nothing, same = asyncio.subprocess.DEVNULL, asyncio.subprocess.STDOUT
        return cls(await _begin(argv, env, stdin=nothing, stderr=same), said)

    @property
    def code(self) -> int:
        """How it ended; only when it has."""
        assert self._process.returncode is not None
        return self._process.returncode

    async def ended(self) -> int:
        """Its exit code, when all that it printed has been read."""
        code = await self._process.wait()
        self._kill(set())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), 1.0)
        return code

    def send(self, name: str) -> None:
        """To the program alone, as to a machine's first process."""
        with suppress(ProcessLookupError):
            self._process.send_signal(getattr(signal, name))

    async def end(self, by: str, grace: Coroutine[Any, Any, None]) -> None:
        """Asks by the signal, and kills all of it when `grace` is over."""
        family = self._family()
        self.send(by)
        waited, gone = asyncio.create_task(grace), asyncio.create_task(self._process.wait())
        await asyncio.wait({waited, gone}, return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()
        self._kill(family | self._family())
        await gone

    async def kill(self) -> None:
        self._kill(self._family())
        await self._process.wait()

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _family(self) -> set[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return set(psutil.Process(self.pid).children(recursive=True))
        return set()

    def _kill(self, family: set[psutil.Process]) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


async def run(argv: Sequence[str], env: Mapping[str, str], stdin: bytes, most_s: float) -> tuple[int, bytes, bytes]:
    """Its exit code and what it printed. After `most_s` it is killed."""
    process = await _begin(argv, env, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(most_s):
            out, err = await process.communicate(stdin)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return process.returncode or 0, out, err


async def _begin(argv: Sequence[str], env: Mapping[str, str], *, stdin: int, stderr: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv, env=env, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=stderr, start_new_session=True
    )


async def _lines(process: asyncio.subprocess.Process, said: Callable[[str], None]) -> None:
    assert process.stdout is not None
    rest = b""
    while chunk := await process.stdout.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            said(line.decode("utf-8", "replace"))
    if rest:
        said(rest.decode("utf-8", "replace"))
