"""Stands where the front stands: starts the real worker and speaks the wire with it, byte for byte."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import voicedeploy.serve

WORKER = Path(voicedeploy.serve.__file__).with_name("worker")
BOTS = Path(__file__).with_name("bots")
PATIENCE_S = 30

Message = dict[str, Any]


class Line:
    """One end of a socket pair whose other end the worker has."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.said: list[Message] = []
        self.eof = False
        self._news = asyncio.Condition()
        self._asked = 0
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(sock=self.sock)
        self._reading = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        while True:
            try:
                line = await self.reader.readline()
            except ConnectionError:
                line = b""
            async with self._news:
                if line:
                    self.said.append(json.loads(line))
                self.eof = not line
                self._news.notify_all()
            if not line:
                return

    def send(self, message: Message) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def wait(self, **wanted: Any) -> Message:
        """The first message said so far or soon that has these values."""

        def found() -> Message | None:
            hits = (m for m in self.said if all(m.get(k) == v for k, v in wanted.items()))
            return next(hits, None)

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: found() or self.eof), PATIENCE_S)
        message = found()
        assert message, f"{wanted} was not said, only {self.said}"
        return message

    async def ask(self, op: str, **values: Any) -> Message:
        self._asked += 1
        self.send({"op": op, "id": self._asked, **values})
        return await self.wait(reply=self._asked)

    async def end_of_file(self) -> None:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: self.eof), PATIENCE_S)

    async def close(self) -> None:
        if self._reading:
            self._reading.cancel()
        self.writer.close()
        await asyncio.sleep(0)


class Child(Line):
    def __init__(self, name: str, sock: socket.socket, log: Path) -> None:
        super().__init__(sock)
        self.name = name
        self.log_file = log
        self.pid = 0

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def session(self, **values: Any) -> None:
        self.send({"op": "session", "session_id": f"s-{self.name}", "transport": "webrtc", **values})


class Worker(Line):
    """A zygote, or with `role="child"` a spawned process of one call."""

    def __init__(self, folder: Path, project: Path, entry: str, role: str, env: dict[str, str]) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.folder = folder
        config = {
            "role": role,
            "control_fd": theirs.fileno(),
            "child": "c0" if role == "child" else None,
            "project": str(project),
            "entry": entry,
            "release": "r1",
            "name": "rig",
        }
        self.log_file = folder / "worker.log"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                cwd=project,
                env={**os.environ, **env, "VOICEDEPLOY_WORKER": json.dumps(config)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        self.children: list[Child] = []

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    async def fork(self) -> Child:
        name = f"c{len(self.children) + 1}"
        ours, theirs = socket.socketpair()
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            socket.send_fds(
                self.sock,
                [json.dumps({"op": "fork", "child": name}).encode() + b"\n"],
                [theirs.fileno(), file.fileno()],
            )
        theirs.close()
        child = await Child(name, ours, log).open()
        self.children.append(child)
        child.pid = (await self.wait(event="forked", child=name))["pid"]
        await child.wait(event="ready")
        return child

    async def exited(self, child: Child) -> Message:
        return await self.wait(event="exited", child=child.name)

    async def stop(self) -> None:
        for child in self.children:
            await child.close()
        await self.close()
        if self.process.poll() is None:
            try:
                await asyncio.to_thread(self.process.wait, 10)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(self.process.wait, 10)
                raise


@asynccontextmanager
async def worker(
    folder: Path, *, project: Path = BOTS, entry: str = "bot.py", role: str = "zygote", **env: str
) -> AsyncIterator[Worker]:
    started = Worker(folder, project, entry, role, env)
    try:
        await started.open()
        yield started
    finally:
        await started.stop()


def proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text().strip()


async def gone(pid: int) -> None:
    """Waits until no such process is there; a zombie counts as gone."""
    for _ in range(PATIENCE_S * 50):
        try:
            state = proc(pid, "stat").rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"process {pid} is still there")
