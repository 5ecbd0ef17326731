"""A way to the package index for a host that has none of its own: an HTTP proxy on this machine."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.lab.hosts import Host


class _Tunnel(StreamRequestHandler):
    """`CONNECT name:443`, and then whatever the two sides say, until each has said all."""

    def handle(self) -> None:
        method, address, _ = self.rfile.readline().decode().split(" ")
        while self.rfile.readline().strip():
            pass
        name, _, port = address.rpartition(":")
        if method != "CONNECT" or port != "443":
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        with socket.create_connection((name, 443), timeout=60) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            answers = threading.Thread(target=_pass_on, args=(there, self.connection), daemon=True)
            answers.start()
            _pass_on(self.connection, there)
            answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Proxy(ThreadingTCPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


@contextmanager
def proxied(host: Host, address: str) -> Iterator[None]:
    """`address`: this machine's in the network of the host, whose sessions know the proxy from now on."""
    with _Proxy((address, 0), _Tunnel) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        host.run(f"echo 'HTTPS_PROXY=http://[{address}]:{proxy.server_address[1]}' >> /etc/environment")
        try:
            yield
        finally:
            proxy.shutdown()
