"""Where requests come in: a TCP port that two releases may share for a moment, and a unix socket."""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from voicedeploy.errors import NotReady
from voicedeploy.serve.config import FrontConfig
from voicedeploy.serve.guard import GuardedProtocol
from voicedeploy.serve.log import Log
from voicedeploy.serve.origins import networks
from voicedeploy.serve.peers import Peers
from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.shapes import Listening
from voicedeploy.serve.upgrade import Upgrade

BACKLOG = 1024
KEEP_ALIVE_S = 20
# Requests under way may finish when a listener closes.
CLOSE_S = 5
# Connections that were made just before a release may still bring their request.
LAST_REQUESTS_S = 1


class PortTaken(NotReady):
    code = "port-taken"


class SocketTaken(NotReady):
    code = "socket-taken"


class _Server(uvicorn.Server):
    """uvicorn, without a say in this process's signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class Listener:
    """One listening socket and what serves it."""

    def __init__(self, sock: socket.socket, app: ASGIApp, config: FrontConfig) -> None:
        self._sock = sock

        class Protocol(GuardedProtocol):
            trusted = networks(config.access.trusted_proxies)

        self._protocol_class = Protocol
        self._late: set[asyncio.Task[None]] = set()
        self._server = _Server(
            uvicorn.Config(
                app,
                http=self._protocol_class,
                ws=Upgrade,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # whom to believe is ours to say
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=CLOSE_S,
                backlog=BACKLOG,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._sock]))
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0.005)

    def release(self) -> None:
        """Closes the socket at once. Whoever has reached it before is still served."""
        if self._sock.fileno() < 0:
            return
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            # Those the kernel has already accepted would be reset with the socket.
            while True:
                accepted, _ = self._sock.accept()
                task = loop.create_task(self._serve_late(accepted))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
        for server in self._server.servers:
            server.close()
        self._sock.close()
        loop.call_later(LAST_REQUESTS_S, self._exit)

    async def close(self) -> None:
        if self._serving:
            self._exit()
            await self._serving
        self._sock.close()

    def _exit(self) -> None:
        self._server.should_exit = True

    async def _serve_late(self, accepted: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(self._protocol, accepted)

    def _protocol(self) -> GuardedProtocol:
        config, state = self._server.config, self._server.server_state
        return self._protocol_class(config=config, server_state=state, app_state={})


class PublicListener:
    """The TCP listener. What was released can be opened again, by a front that resumes."""

    def __init__(self, config: FrontConfig, peers: Peers, log: Log) -> None:
        self.app: ASGIApp | None = None
        self._config = config
        self._peers = peers
        self._log = log
        self._opening = asyncio.Lock()
        self._listener: Listener | None = None
        self._former: list[Listener] = []
        self._where: Listening | None = None

    @property
    def listening(self) -> Listening | None:
        return self._where

    async def open(self) -> Listening:
        """Returns when the port is bound. Opening twice is opening once. Raises `Refusal` 409 `port-taken`."""
        async with self._opening:
            if self._where is None:
                assert self.app is not None
                sock = await self._bind()
                listener = Listener(sock, self.app, self._config)
                await listener.start()
                self._listener = listener
                host, port = sock.getsockname()[:2]
                self._where = Listening(host=host, port=port)
                self._log.info("listening", host=host, port=port)
            return self._where

    def release(self) -> None:
        if self._listener:
            self._listener.release()
            self._former.append(self._listener)
            self._log.info("port-released")
        self._listener = self._where = None

    async def close(self) -> None:
        self._where = None
        for listener in (*self._former, *([self._listener] if self._listener else [])):
            await listener.close()

    async def _bind(self) -> socket.socket:
        """An older release of this bot may hold the port for a moment longer; nobody else may."""
        host, port = self._config.listen.host, self._config.listen.port
        try:
            _tcp(host, port, shared=False).close()
        except OSError as error:
            taken = Refusal(
                409,
                "port-taken",
                f"listen.port: {host}:{port} is in use by another program",
                hint="stop it, or choose another port",
            )
            if error.errno != errno.EADDRINUSE:
                message = f"listen.host: {host}:{port}: {error.strerror or error}"
                raise Refusal(409, "cannot-listen", message, hint="correct [listen]") from error
            if not any(where.port == port for where in await self._peers.listening()):
                raise taken from error
        try:
            return _tcp(host, port, shared=True)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise taken from error


def _tcp(host: str, port: int, *, shared: bool) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # "localhost" means IPv4 first: what the page's address is made of.
    family, kind, proto, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def unix_socket(path: Path) -> socket.socket:
    """A listening socket of mode 0600. Replaces one that nobody serves. Raises `SocketTaken`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            if _answers(path):
                raise SocketTaken(
                    f"listen.socket: {path}: another front serves it", hint="end it first, or name another socket"
                )
            path.unlink()
    except FileNotFoundError:
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise SocketTaken(f"listen.socket: {path}: {error.strerror}", hint="name another socket") from error
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
