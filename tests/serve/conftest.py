"""A front with real sockets: in the test's own loop, or as a process of its own."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import tomli_w

from tests import forked
from voicedeploy.serve.config import FrontConfig, load
from voicedeploy.serve.peers import no_tls
from voicedeploy.serve.run import run_front

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
KEY = "k" * 40
PATIENCE_S = 15.0

Table = dict[str, Any]


def write_config(folder: Path, tables: Table, *, bot: str = "", release: str = "r1") -> Path:
    """A front's file with its bot's folder and its key; `tables` adds to the sections."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "bot.py").write_text(bot)
    key = folder / "key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    config: Table = {
        "bot": {"name": "parrot", "release": release, "project": "project", "python": sys.executable},
        "listen": {"port": 0, "socket": f"{release}.sock"},
        "session": {"grace_s": 0.5, "leave_s": 0.3},
        "pool": {"min": 1, "max": 4, "refill_delay_s": 0},
        "access": {"key_file": "key", "starts_per_minute": 0},
        "log": {"file": f"{release}.log"},
    }
    for name, table in tables.items():
        config[name] = config.get(name, {}) | table if isinstance(table, dict) else table
    file = folder / f"{release}.toml"
    file.write_text(tomli_w.dumps(config))
    return file


def lines(config: FrontConfig) -> list[Table]:
    """The log, parsed."""
    assert config.log.file
    if not config.log.file.exists():
        return []
    return [json.loads(line) for line in config.log.file.read_text().splitlines() if line]


@dataclass
class Running:
    """A front in this loop: `http` speaks to its public port, `unix` to its socket."""

    config: FrontConfig
    serving: asyncio.Task[int]
    unix: httpx.AsyncClient
    http: httpx.AsyncClient

    def log(self, event: str = "", **having: Any) -> list[Table]:
        return [
            line
            for line in lines(self.config)
            if event in ("", line["event"]) and all(line.get(key) == value for key, value in having.items())
        ]

    async def status(self) -> Table:
        answer = await self.unix.get("/status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def start(self, **body: Any) -> str:
        answer = await self.http.post("/start", json={"transport": "webrtc", "body": body}, headers=BEARER)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["sessionId"])

    async def offer(self, id: str, sdp: str = "v=0", **more: Any) -> httpx.Response:
        return await self.http.post(f"/sessions/{id}/api/offer", json={"sdp": sdp, "type": "offer", **more})

    async def call(self, **body: Any) -> tuple[str, int]:
        """A call that is connected: its id and its pid."""
        id = await self.start(**body)
        answer = await self.offer(id)
        assert answer.status_code == 200, answer.text
        return id, json.loads(answer.json()["sdp"])["pid"]

    async def ended(self, id: str) -> Table:
        await until(lambda: bool(self.log("ended", session=id)))
        return self.log("ended", session=id)[0]

    async def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        answer = None
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                answer = await self.unix.get("/readyz")
                if answer.status_code == 200:
                    return
            if self.serving.done():
                self.serving.result()
            await asyncio.sleep(0.01)
        raise AssertionError(f"not ready: {answer and answer.text}")


BEARER = {"Authorization": f"Bearer {KEY}"}


async def until(true: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "did not come true"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.asynccontextmanager
async def running(
    file: Path, *, ready: bool = True, worker: Path = FAKE_WORKER, forks: bool = True
) -> AsyncIterator[Running]:
    """A front in this loop, ended (with its calls) at the end. `forks`: the bot's Python need not be the real one."""
    config = load(file)
    if forks and config.bot.python == Path(sys.executable):
        bot = config.bot.model_copy(update={"python": forked.bots().python})
        config = config.model_copy(update={"bot": bot})
    serving = asyncio.create_task(run_front(config, KEY, worker=worker))
    transport = httpx.AsyncHTTPTransport(uds=str(config.listen.socket), verify=no_tls())
    async with httpx.AsyncClient(transport=transport, base_url="http://front", timeout=20) as unix:
        front = Running(config, serving, unix, unix)
        try:
            await until(lambda: config.listen.socket.exists() or serving.done())
            if serving.done():
                serving.result()
            if ready:
                await front.ready()
            if (await front.status())["listening"]:
                where = (await front.status())["listen"]
                base = f"http://{where['host']}:{where['port']}"
                async with httpx.AsyncClient(base_url=base, timeout=20, verify=no_tls()) as http:
                    front.http = http
                    yield front
            else:
                yield front
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class FrontProcess:
    """A front as a process of its own."""

    config: FrontConfig
    popen: subprocess.Popen[bytes]

    def ask(self, path: str) -> httpx.Response:
        return self._send("GET", path, None)

    def post(self, path: str, body: Table) -> httpx.Response:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: Table | None) -> httpx.Response:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.config.listen.socket))
        transport = httpx.HTTPTransport(uds=str(self.config.listen.socket), verify=no_tls())
        with httpx.Client(transport=transport, base_url="http://front", timeout=20) as http:
            return http.request(method, path, json=body)

    def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.popen.poll() is None:
            with contextlib.suppress(OSError, httpx.HTTPError):
                if self.ask("/readyz").status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.popen.poll()} {lines(self.config)[-5:]}")

    def call(self, **body: Any) -> tuple[str, int]:
        started = self.post("/start", {"body": body})
        assert started.status_code == 200, started.text
        id = str(started.json()["sessionId"])
        answer = self.post(f"/sessions/{id}/api/offer", {"sdp": "v=0", "type": "offer"})
        assert answer.status_code == 200, answer.text
        return id, json.loads(answer.json()["sdp"])["pid"]


Launch = Callable[..., FrontProcess]


@pytest.fixture
def launch(folder: Path) -> Iterator[Launch]:
    """`launch(tables, ...)` starts a front's process; what is left of it is killed at the end."""
    fronts: list[FrontProcess] = []
    program = (
        "import sys; from pathlib import Path; from voicedeploy.serve.run import serve;"
        "sys.exit(serve(Path(sys.argv[1]), worker=Path(sys.argv[2])))"
    )

    def start(tables: Table, *, bot: str = "", release: str = "r1", worker: Path = FAKE_WORKER) -> FrontProcess:
        file = write_config(folder, tables, bot=bot, release=release)
        popen = subprocess.Popen(
            [sys.executable, "-c", program, str(file), str(worker)],
            stderr=subprocess.PIPE,
        )
        fronts.append(FrontProcess(load(file), popen))
        return fronts[-1]

    yield start
    for front in fronts:
        if front.popen.poll() is None:
            front.popen.send_signal(signal.SIGINT)
            try:
                front.popen.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                front.popen.kill()
        front.popen.wait()
        assert front.popen.stderr
        front.popen.stderr.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as a unix socket's path has to be."""
    path = Path(f"/tmp/vd-{os.getpid()}-{secrets.token_hex(3)}")  # noqa: S108
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path)
