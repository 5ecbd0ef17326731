"""The front as a process: its signals, its end, its exit code."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator
from pathlib import Path

from voicedeploy.errors import VoiceDeployError
from voicedeploy.serve.access import Doorkeeper
from voicedeploy.serve.app import make_app
from voicedeploy.serve.calls import OwnCalls
from voicedeploy.serve.config import FrontConfig, load, read_key
from voicedeploy.serve.front import Front
from voicedeploy.serve.listener import Listener, PortTaken, PublicListener, unix_socket
from voicedeploy.serve.log import Log
from voicedeploy.serve.metrics import Metrics
from voicedeploy.serve.nursery import WORKER
from voicedeploy.serve.peers import Peers
from voicedeploy.serve.phone.desk import Desk
from voicedeploy.serve.phone.webhook import Decides, phone
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.routes import Behind, Calls, House
from voicedeploy.serve.tokens import Tokens
from voicedeploy.serve.upstream.calls import UpstreamCalls
from voicedeploy.serve.upstream.desk import UpstreamDesk
from voicedeploy.serve.upstream.front import UpstreamFront

DRAINED = 0
BOT_FAILED = 4
INTERRUPTED = 130
# With `bot.exit_on_failure`: time for a poller to read from /readyz why the bot failed.
FAILURE_LINGER_S = 5.0


def serve(config_path: Path, *, worker: Path = WORKER) -> int:
    """Serves until told to end; returns the exit code.

    SIGTERM drains: no new calls, the running ones end in their own time, then 0. A second SIGTERM, or SIGINT,
    ends the calls now: 130. A bot that fails before it ever loaded ends the front with 4 if `bot.exit_on_failure`.
    Raises `ConfigError`, `PortTaken` or `SocketTaken` before anything is served.
    """
    config = load(config_path)
    key = read_key(config_path, config)
    return asyncio.run(run_front(config, key, worker=worker))


async def run_front(config: FrontConfig, key: str, *, worker: Path = WORKER) -> int:
    """`serve` in a loop that already runs."""
    sock = unix_socket(config.listen.socket)
    inode = config.listen.socket.stat().st_ino
    log = Log(config.log.file, max_bytes=config.log.max_bytes, release=config.bot.release)
    peers = Peers(config.peers, config.peers_folder, config.listen.socket)
    try:
        with _logging_into(log):
            code = await _run(config, key, worker, sock, log, peers)
        log.info("exit", code=code)
        return code
    except VoiceDeployError as error:
        log.error("exit", code=error.exit_code, error=error.message, hint=error.hint)
        raise
    finally:
        await peers.close()
        sock.close()
        with contextlib.suppress(FileNotFoundError):
            if config.listen.socket.stat().st_ino == inode:
                config.listen.socket.unlink()
        log.close()


async def _run(config: FrontConfig, key: str, worker: Path, sock: socket.socket, log: Log, peers: Peers) -> int:
    metrics = Metrics(bot=config.bot.name, release=config.bot.release)
    tokens = Tokens(key)
    public = PublicListener(config, peers, log)
    door = Doorkeeper(config.access, tokens)
    front, calls, desk = _behind(config, log, metrics, door, tokens, peers, worker)
    house = House(front, calls, tokens, door, public, phone(config, log, door, desk))
    public.app = make_app(house, private=False)
    private = Listener(sock, make_app(house, private=True), config)
    now = asyncio.Event()
    hold = config.listen.held(config.bot.release)
    log.info("start", bot=config.bot.name, socket=str(config.listen.socket), hold=hold)
    try:
        if not hold:
            try:
                await public.open()
            except Refusal as error:
                raise PortTaken(error.message, hint=error.hint) from error
        with _signals(front, now):
            front.start()
            await private.start()
            return await _until_the_end(config, front, now)
    finally:
        await asyncio.gather(public.close(), front.close(), private.close())


def _behind(
    config: FrontConfig, log: Log, metrics: Metrics, door: Doorkeeper, tokens: Tokens, peers: Peers, worker: Path
) -> tuple[Behind, Calls, Callable[[], Decides]]:
    if config.upstream.url:
        elsewhere = UpstreamFront(config, log, metrics)
        return elsewhere, UpstreamCalls(elsewhere, door, peers), lambda: UpstreamDesk(elsewhere)
    front = Front(config, log, metrics, worker=worker)
    return front, OwnCalls(front, door, tokens, peers), lambda: Desk(front)


async def _until_the_end(config: FrontConfig, front: Behind, now: asyncio.Event) -> int:
    waits = {
        asyncio.create_task(front.drained.wait()): DRAINED,
        asyncio.create_task(now.wait()): INTERRUPTED,
    }
    if config.bot.exit_on_failure:
        waits[asyncio.create_task(front.failed_at_first.wait())] = BOT_FAILED
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        code = max(waits[task] for task in done)
        if code == BOT_FAILED:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAILURE_LINGER_S):
                    await now.wait()
        return code
    finally:
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)


@contextlib.contextmanager
def _signals(front: Behind, now: asyncio.Event) -> Generator[None, None, None]:
    loop = asyncio.get_running_loop()

    def terminate() -> None:
        if front.draining:
            now.set()
        front.drain()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, now.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)


class _IntoLog(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name, "text": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._log.write("error" if record.levelno >= logging.ERROR else "warning", "library", "", fields)


@contextlib.contextmanager
def _logging_into(log: Log) -> Generator[None, None, None]:
    """What libraries have to say goes into the one log too."""
    handler = _IntoLog(log)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
