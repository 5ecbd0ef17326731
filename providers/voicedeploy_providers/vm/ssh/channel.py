"""One command on a connection: its input, its output, its exit code."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import paramiko

from voicedeploy.errors import StepFailed
from voicedeploy_providers.vm.ssh.connection import Connection
from voicedeploy_providers.vm.ssh.lost import Dropped

Send = Callable[[bytes], None]
Feed = Callable[[Send], None]
"""Writes the input of a command, piece by piece; a piece waits until there is room for it."""

KILLED = -1
"""The exit code of what a signal ended."""
_OPEN_S = 20.0


class TookTooLong(Exception):
    """The command did not end in its time."""


@dataclass(frozen=True)
class Finished:
    code: int
    out: bytes
    err: bytes


class _Closed(Exception):
    """The other side reads no more."""


def begin(connection: Connection, command: str) -> paramiko.Channel:
    """Starts `command`; its input is open. Raises `Dropped`, and `StepFailed` where the host runs nothing."""
    name = connection.route.name
    try:
        channel = connection.transport.open_session(timeout=_OPEN_S)
        try:
            channel.exec_command(command)
        except BaseException:
            channel.close()
            raise
    except (paramiko.SSHException, EOFError, OSError) as error:
        if not connection.alive:
            raise Dropped(str(error) or type(error).__name__) from error
        if isinstance(error, paramiko.ChannelException):
            raise StepFailed(
                f"{name}: opens no further session: {error.text}", hint="is MaxSessions very low in its sshd_config?"
            ) from error
        raise Dropped(f"no answer: {error}") from error
    return channel


def execute(connection: Connection, command: str, feed: Feed, timeout_s: float) -> Finished:
    """Runs `command` to its end. Raises `Dropped`, `TookTooLong`, and whatever `feed` raises."""
    with closing(begin(connection, command)) as channel, _within(channel, timeout_s) as late:
        err = bytearray()
        failures: list[BaseException] = []
        threads = [
            threading.Thread(target=_collect, args=(channel.recv_stderr, err), daemon=True),
            threading.Thread(target=_feed, args=(channel, feed, failures), daemon=True),
        ]
        for thread in threads:
            thread.start()
        out = bytearray()
        _collect(channel.recv, out)
        code = channel.recv_exit_status()
        channel.close()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if late.is_set():
            raise TookTooLong
        if code == KILLED:
            gone(connection)
        return Finished(code, bytes(out), bytes(err))


def lines(channel: paramiko.Channel) -> Iterator[str]:
    """The lines of the output as they come."""
    rest = b""
    while chunk := channel.recv(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def gone(connection: Connection) -> None:
    """Raises `Dropped` if the connection is: a channel without an exit code may be the first sign of it."""
    connection.transport.join(1)
    if not connection.alive:
        raise Dropped(str(connection.transport.get_exception() or "the host hung up"))


def _collect(receive: Callable[[int], bytes], into: bytearray) -> None:
    while chunk := receive(65536):
        into += chunk


def _feed(channel: paramiko.Channel, feed: Feed, failures: list[BaseException]) -> None:
    def send(data: bytes) -> None:
        try:
            channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise _Closed from error

    try:
        feed(send)
    except _Closed:
        return
    except BaseException as error:  # it belongs to the thread that waits
        failures.append(error)
        channel.close()
        return
    try:
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        return


@contextmanager
def _within(channel: paramiko.Channel, seconds: float) -> Iterator[threading.Event]:
    late = threading.Event()

    def end() -> None:
        late.set()
        channel.close()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
