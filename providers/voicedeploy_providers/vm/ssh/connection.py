"""A connection to a host, through whatever the user's ssh would go through."""

import contextlib
import logging
import socket
import subprocess
import tempfile
import threading
from typing import IO, Self

import paramiko

from voicedeploy.errors import NotReady
from voicedeploy_providers.vm.ssh import unreachable
from voicedeploy_providers.vm.ssh.auth import Keyring, log_in
from voicedeploy_providers.vm.ssh.config import Route
from voicedeploy_providers.vm.ssh.known_hosts import Known

KEEPALIVE_S = 15.0
SILENT_S = 30.0
"""A host that does not answer for so long is gone."""
_HANDSHAKE_S = 15.0
_FAMILY = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}

# Without a handler of its own, what paramiko logs would be printed between our lines.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Connection:
    """An authenticated connection. `close` ends it, and the jumps on the way."""

    def __init__(self, route: Route, ring: Keyring) -> None:
        self.route = route
        self.keyring = ring
        self._open: list[paramiko.Transport] = []
        self._socks: list[socket.socket | paramiko.Channel] = []
        self._proxy: _Proxy | None = None
        self._closed = threading.Event()
        try:
            for hop in (*route.jumps, route):
                self._hop(hop)
        except BaseException:
            self.close()
            raise
        self.transport = self._open[-1]
        self._keeper = threading.Thread(target=self._keep_alive, name=f"keepalive {route.name}", daemon=True)
        self._keeper.start()

    @property
    def alive(self) -> bool:
        return self.transport.is_active()

    def close(self) -> None:
        self._closed.set()
        for transport in reversed(self._open):
            transport.close()
        for sock in reversed(self._socks):
            sock.close()
        if self._proxy is not None:
            self._proxy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hop(self, hop: Route) -> None:
        with unreachable.told(hop, self._open[-1].remote_version if self._open else ""):
            if self._open:
                sock: socket.socket | paramiko.Channel = self._open[-1].open_channel(
                    "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=hop.connect_timeout_s
                )
            elif hop.proxy_command:
                self._proxy = _Proxy(hop.proxy_command)
                sock = self._proxy.socket
            else:
                sock = _dial(hop)
            self._socks.append(sock)
            transport = paramiko.Transport(sock)
            self._open.append(transport)
            transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = _HANDSHAKE_S
            known = Known.of(hop)
            options = transport.get_security_options()
            options.key_types = known.prefer(options.key_types)
            try:
                transport.start_client(timeout=_HANDSHAKE_S)
                known.check(hop, transport.get_remote_server_key())
                log_in(transport, hop, self.keyring)
            except (paramiko.SSHException, EOFError, OSError) as error:
                if self._proxy is not None and len(self._open) == 1:
                    raise self._proxy.failure(hop) from error
                raise

    def _keep_alive(self) -> None:
        """Asks, and hangs up on a host that does not answer: TCP alone notices after a quarter of an hour."""
        while not self._closed.wait(KEEPALIVE_S) and self.alive:
            hang_up = threading.Timer(SILENT_S, self.transport.close)
            hang_up.daemon = True
            hang_up.start()
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                self.transport.global_request("keepalive@openssh.com", wait=True)
            hang_up.cancel()


def connect(route: Route, *, keyring: Keyring | None = None) -> Connection:
    """Connects and logs in. `keyring` holds what an earlier connection opened, so that nobody is asked twice.

    Raises `NotReady`, each cause with its own sentence and hint: host off or out of reach, name unknown, key of the
    host unknown or changed, key of ours not taken.
    """
    return Connection(route, keyring or Keyring())


def _dial(hop: Route) -> socket.socket:
    found = socket.getaddrinfo(hop.host, hop.port, _FAMILY[hop.family], socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(hop.connect_timeout_s)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = failure or error
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise failure or OSError("no address")


class _Proxy:
    """A ProxyCommand, run by the shell as ssh does; we speak with it through a pair of sockets."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        ours, theirs = socket.socketpair()
        with theirs:
            self.socket = ours
            self._program = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._said,
                start_new_session=True,
            )

    def failure(self, hop: Route) -> NotReady:
        self._end()
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return NotReady(
            f"{hop.name}: the ProxyCommand does not lead to it: {lines[-1] if lines else self._command}",
            hint=f"`{hop.command} true` has to work first",
        )

    def close(self) -> None:
        self._end()
        self._said.close()

    def _end(self) -> None:
        self.socket.close()
        if self._program.poll() is None:
            self._program.terminate()
        try:
            self._program.wait(2)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
