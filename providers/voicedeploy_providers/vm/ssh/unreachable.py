"""Why a host cannot be reached, in one sentence, and what to do about it."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from voicedeploy.errors import NotReady
from voicedeploy_providers.vm.ssh.config import Route


@contextmanager
def told(hop: Route, through: str) -> Iterator[None]:
    """Turns what goes wrong on the way to `hop` into `NotReady`; `through` is set where a jump host makes the call."""
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _explained(hop, error, bool(through)) from error


def _explained(hop: Route, error: Exception, jumped: bool) -> NotReady:
    name, host, at = hop.name, hop.host, hop.at
    look = f"`ssh -v {name}` shows how far it gets"
    match error:
        case paramiko.ChannelException(code=1):
            return NotReady(
                f"{name}: the jump host does not pass connections on",
                hint="allow it there: `AllowTcpForwarding yes` in /etc/ssh/sshd_config",
            )
        case paramiko.ChannelException():
            return NotReady(
                f"{name}: the jump host cannot reach {at}",
                hint="is it on, and is that its name and port there?",
            )
        case socket.gaierror():
            return NotReady(
                f"{name}: no address is known for the name {host}",
                hint="is it spelled right? an alias needs `Host` and `HostName` in ~/.ssh/config",
            )
        case ConnectionRefusedError():
            return NotReady(
                f"{name}: nothing listens at {at}",
                hint="is sshd running there, and is that its port? (`Port` in ~/.ssh/config, or ssh://user@host:port)",
            )
        case TimeoutError():
            return NotReady(
                f"{name}: {at} does not answer",
                hint=f"is the machine on, and does its firewall (or its provider's) let port {hop.port} through?",
            )
        case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH | errno.EADDRNOTAVAIL | errno.EHOSTDOWN):
            return NotReady(
                f"{name}: there is no way from here to {at}",
                hint="is this machine in the right network (VPN, tailnet), and has it IPv6 if that is an IPv6 address?",
            )
        case IncompatiblePeer():
            return NotReady(f"{name}: no common algorithms with {at}: {error}", hint="is its sshd very old?")
    if isinstance(error, EOFError | ConnectionError) or isinstance(error.__context__, EOFError | ConnectionError):
        return NotReady(
            f"{name}: {at} hung up before any SSH was spoken",
            hint=f"is {hop.port} the port of sshd? are we locked out (fail2ban, MaxStartups)? {look}",
        )
    if "banner" in str(error):
        return NotReady(f"{name}: {at} does not speak SSH", hint=f"is {hop.port} the port of sshd? {look}")
    return NotReady(f"{name}: no SSH connection to {at}: {error or type(error).__name__}", hint=look)
