"""Whether datagrams from here reach the host's ports: an echo there for some seconds, and a probe from here."""

import json
import re
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from voicedeploy.errors import StepFailed
from voicedeploy_providers.vm.network.looking import SCRIPT, program

TTL_S = 8.0
ROUNDS = 4
ROUND_S = 0.5
"""For an answer from the other side of the world."""

Stream = Callable[[str, Sequence[str]], Iterator[str]]
"""Runs a script with arguments on the host; its lines as they come. Closing the iterator may end the script."""


@dataclass(frozen=True)
class Reached:
    """`address` is where the datagrams were sent, `asked` the ports that were free to listen there.

    `seen_from`: the address of this machine as the host saw it, "" where nothing arrived.
    """

    address: str
    asked: tuple[int, ...] = ()
    answered: tuple[int, ...] = ()
    busy: tuple[int, ...] = ()
    seen_from: str = ""

    def within(self, ports: Sequence[int]) -> "Reached":
        """Of these ports only."""
        kept = set(ports)

        def some(them: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(port for port in them if port in kept)

        return Reached(self.address, some(self.asked), some(self.answered), some(self.busy), self.seen_from)

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(port for port in self.asked if port not in self.answered)


def try_ports(stream: Stream, address: str, ports: Sequence[int]) -> Reached:
    """Opens an echo on the host and asks it from here; 0.1 s where all is open, 2 s where something is not."""
    nonce = secrets.token_hex(16)
    lines = stream(SCRIPT, (program("echo", ports=list(ports), nonce=nonce, ttl_s=TTL_S),))
    try:
        for line in lines:
            if found := re.fullmatch(r"LISTEN \d+ BUSY (\[.*\])", line.strip()):
                return probe(address, ports, nonce.encode(), busy=json.loads(found[1]))
    finally:
        if close := getattr(lines, "close", None):
            close()
    raise StepFailed("the host could not be asked which ports are open", hint="is there a `python3` on it?")


def probe(address: str, ports: Sequence[int], nonce: bytes, *, busy: Sequence[int] = ()) -> Reached:
    """Sends to each port until it answered, at most `ROUNDS` times."""
    asked = [port for port in ports if port not in busy]
    answers: dict[int, str] = {}
    family, *_, (host, *_) = socket.getaddrinfo(address, None, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for _ in range(ROUNDS):
            for port in asked:
                if port not in answers:
                    _send(sock, nonce + b"|%d" % port, (str(host), port))
            until = time.monotonic() + ROUND_S
            while len(answers) < len(asked) and (left := until - time.monotonic()) > 0:
                if select.select([sock], [], [], left)[0]:
                    answers |= _answer(sock, nonce)
            if len(answers) == len(asked):
                break
        for port in list(answers)[:3]:  # the echo ends; should all three be lost, it ends by itself
            _send(sock, nonce + b"|bye", (str(host), port))
    return Reached(
        address,
        tuple(asked),
        tuple(port for port in asked if port in answers),
        tuple(busy),
        next(iter(answers.values()), ""),
    )


def _send(sock: socket.socket, data: bytes, to: tuple[str, int]) -> None:
    try:
        sock.sendto(data, to)
    except OSError:  # no route, or a firewall of our own: as good as no answer
        return


def _answer(sock: socket.socket, nonce: bytes) -> dict[int, str]:
    try:
        data = sock.recv(512)
    except OSError:
        return {}
    found = re.fullmatch(re.escape(nonce) + rb"\|(\d+)\|([0-9a-fA-F.:]+)\|\d+", data)
    return {int(found[1]): found[2].decode()} if found else {}
