"""The two sides: `voicedeploy serve`, and Pipecat's own development runner with all calls in one process."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal

import httpx
import psutil
import tomli_w

import voicedeploy
from benchmarks.altered_worker import COMING_FIRST
from voicedeploy.call import Callee
from voicedeploy.network import Transport
from voicedeploy.serve.client import FrontClient

TYPICAL = Path(__file__).with_name("bots") / "typical.py"
ALTERED = Path(__file__).with_name("altered_worker.py")
NICER = 10
"""Steps by which a call's process comes before its front (`come_first` in the worker's process.py)."""
READY_S = 60.0
END_S = 20.0

# What `voicedeploy serve` does, with another program in the place of the worker.
SERVE = (
    "import sys; from pathlib import Path; from voicedeploy.serve.run import serve;"
    "sys.exit(serve(Path(sys.argv[1]), worker=Path(sys.argv[2])))"
)


@dataclass(frozen=True)
class Place:
    """Where the processes of calls run. `cores`: all if empty. `nice`: behind the callers if positive."""

    cores: tuple[int, ...] = ()
    nice: int = 0

    def enter(self) -> None:
        """In the new process, before it becomes the server."""
        if self.cores:
            os.sched_setaffinity(0, self.cores)
        if self.nice:
            os.nice(self.nice)


ANYWHERE = Place()


@dataclass(frozen=True)
class Server:
    """`client` only for a front."""

    name: str
    callee: Callee
    process: subprocess.Popen[bytes]
    log: Path
    client: FrontClient | None = None

    def call_pids(self) -> list[int]:
        """The processes of calls, and no others."""
        if self.client is None:
            return [self.process.pid]
        return [session.pid for session in self.client.status().sessions if session.pid]

    def family(self) -> list[psutil.Process]:
        """The server and every process below it."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_s(self) -> float:
        """Used so far by all that live now."""
        used = 0.0
        for process in self.family():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used += times.user + times.system
        return used

    def settle(self, patience_s: float = 30.0) -> None:
        """Returns when no call is left and as many processes wait as should."""
        deadline = time.monotonic() + patience_s
        while self.client is not None and time.monotonic() < deadline:
            if not self.client.status().sessions and self.client.readyz().ready:
                return
            time.sleep(0.05)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of a front's log with this event."""
        return [line for line in read_log(self.log.read_text()) if line.get("event") == name]


def read_log(text: str) -> list[dict[str, Any]]:
    """The last line may be in the making, and is then left out."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


@dataclass(frozen=True)
class Front:
    """`voicedeploy serve` around one bot. `warm`: processes that wait. `without`: see altered_worker.py."""

    name: str = "voicedeploy"
    bot: Path = TYPICAL
    slots: int = 2
    warm: int = 1
    isolation: Literal["fork", "spawn"] = "fork"
    transport: Transport = Transport.WEBRTC
    place: Place = ANYWHERE
    without: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def __call__(self) -> Iterator[Server]:
        with _folder() as folder:
            key = folder / "key"
            key.write_text(secrets.token_hex(32))
            key.chmod(0o600)
            config = folder / "front.toml"
            config.write_text(tomli_w.dumps(self.config(folder)))
            program = ["-c", SERVE, str(config), str(ALTERED)] if self.without else ["-m", "voicedeploy", "serve"]
            arguments = program if self.without else [*program, "--config", str(config)]
            log = folder / "front.log"
            alter = {"BENCHMARK_WITHOUT": ",".join(self.without)} if self.without else {}
            with _process(arguments, folder, self._place, {**self.env, **alter}) as process:
                port = _wait(process, folder / "output", lambda: _listening(log))
                with FrontClient(socket=folder / "front.sock") as client:
                    server = Server(self.name, Callee.parse(f"http://127.0.0.1:{port}"), process, log, client)
                    server.settle()
                    yield server

    @property
    def _place(self) -> Place:
        """The front's own, from which its calls come forward where they may."""
        comes = os.geteuid() == 0 and COMING_FIRST not in self.without
        return replace(self.place, nice=self.place.nice + NICER) if comes and self.place.nice else self.place

    def config(self, folder: Path) -> dict[str, Any]:
        return {
            "bot": {
                "name": "benchmark",
                "release": "r1",
                "project": str(self.bot.parent),
                "entry": self.bot.name,
                "python": sys.executable,
            },
            "listen": {"port": 0, "socket": str(folder / "front.sock")},
            "transport": {"kind": self.transport.value},
            "session": {"isolation": self.isolation},
            "pool": {"min": self.warm, "max": self.slots, "warm": 0},
            "access": {"key_file": "key", "open_on_loopback": True, "starts_per_minute": 0},
            "log": {"file": "front.log"},
        }


@dataclass(frozen=True)
class Runner:
    """`python bot.py -t webrtc`: Pipecat's development runner."""

    name: str = "pipecat's runner"
    bot: Path = TYPICAL
    place: Place = ANYWHERE

    @contextmanager
    def __call__(self) -> Iterator[Server]:
        with _folder() as folder, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
            url = f"http://localhost:{port}"
            arguments = [str(self.bot), "-t", "webrtc", "--port", str(port)]
            with _process(arguments, folder, self.place, {}) as process:
                log = folder / "output"
                _wait(process, log, lambda: _answers(f"{url}/status"))
                yield Server(self.name, Callee.parse(url), process, log)


@contextmanager
def _folder() -> Iterator[Path]:
    # Short, as a unix socket's path has to be.
    folder = Path(gettempdir(), f"vdb-{os.getpid()}-{secrets.token_hex(3)}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(
    arguments: Sequence[str], folder: Path, place: Place, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    path = os.pathsep.join(filter(None, [str(Path(voicedeploy.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=place.enter,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], output: Path, ready: Callable[[], int]) -> int:
    """What `ready` says once that is not 0."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        if said := ready():
            return said
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start ({process.poll()}): {output.read_text()[-2000:]}")


def _listening(log: Path) -> int:
    """The port, once a call could begin."""
    lines = read_log(log.read_text()) if log.exists() else []
    port = next((int(line["port"]) for line in lines if line["event"] == "listening"), 0)
    return port if port and _answers(f"http://127.0.0.1:{port}/readyz") else 0


def _answers(url: str) -> int:
    try:
        return int(httpx.get(url, trust_env=False, timeout=5).is_success)
    except httpx.HTTPError:
        return 0
