"""Who we are, to a host: the agent's keys and the identity files, as ssh would try them."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.agent import AgentSSH
from paramiko.pkey import PublicBlob, UnknownKeyType

from voicedeploy.errors import NotReady
from voicedeploy_providers.vm.ssh import terminal
from voicedeploy_providers.vm.ssh.config import Route

_PASSPHRASES = 3
_UNREADABLE = (
    paramiko.SSHException,
    UnknownKeyType,
    UnsupportedAlgorithm,
    OSError,
    ValueError,
    TypeError,
)


@dataclass
class Keyring:
    """Keys that were opened before: a passphrase is asked for once, and is itself not kept."""

    opened: dict[Path, paramiko.PKey] = field(default_factory=dict, repr=False)
    good: dict[tuple[str, str], paramiko.PKey] = field(default_factory=dict, repr=False)
    """The key that let us in, by host and user."""


def log_in(transport: paramiko.Transport, route: Route, ring: Keyring) -> None:
    """Proves who we are; `NotReady` lists what was tried."""
    tried: list[str] = []
    methods = _none(transport, route)
    if methods is None:
        return
    if "publickey" not in methods:
        raise NotReady(
            f"{route.name}: takes no keys, only {', '.join(methods)}",
            hint="allow them there: `PubkeyAuthentication yes` in /etc/ssh/sshd_config",
        )
    agent = _Agent(route.agent)
    try:
        for key, name in _keys(route, agent, ring, tried):
            if _try(transport, route, key, name, tried):
                ring.good[route.known_as, route.user] = key
                return
    finally:
        agent.close()
    raise _refused(route, tried)


def _none(transport: paramiko.Transport, route: Route) -> list[str] | None:
    """The ways in that the host names; None: it let us in without any, as Tailscale's does."""
    try:
        transport.auth_none(route.user)
    except paramiko.BadAuthenticationType as error:
        return error.allowed_types
    except paramiko.AuthenticationException:
        return ["publickey"]
    return None


def _try(transport: paramiko.Transport, route: Route, key: paramiko.PKey, name: str, tried: list[str]) -> bool:
    tried.append(name)
    try:
        left = transport.auth_publickey(route.user, key)
    except paramiko.AuthenticationException:
        if not transport.is_active():
            raise _refused(route, tried, cut=True) from None
        return False
    except paramiko.SSHException as error:
        if not transport.is_active():
            raise _refused(route, tried, cut=True) from error
        tried[-1] = f"{name}: {error}"
        return False
    if left:
        raise NotReady(
            f"{route.name}: wants {' and '.join(left)} after the key; nobody can answer that here",
            hint="give the account that deploys a key that is enough by itself",
        )
    return True


def _keys(route: Route, agent: "_Agent", ring: Keyring, tried: list[str]) -> Iterator[tuple[paramiko.PKey, str]]:
    """In ssh's order: the agent's keys that are named in the configuration, its others, then the files."""
    good = ring.good.get((route.known_as, route.user))
    if good is not None and not isinstance(good, paramiko.AgentKey):
        yield good, "the key that was good before"
    named = {blob: path for path in route.identities if (blob := _public(path))}
    ours = [key for key in agent.keys if key.asbytes() in named]
    others = [] if route.identities_only else [key for key in agent.keys if key.asbytes() not in named]
    for key in (*ours, *others):
        yield key, f"agent: {key.comment or key.fingerprint}"
    in_agent = {named[key.asbytes()] for key in ours}
    locked = []
    for path in route.identities:
        if path in in_agent or not path.is_file():
            continue
        if path in ring.opened:
            yield ring.opened[path], str(path)
            continue
        try:
            ring.opened[path] = paramiko.PKey.from_path(path)
        except paramiko.PasswordRequiredException:
            locked.append(path)
        except TypeError:
            locked.append(path)  # how cryptography says that a passphrase is missing
        except _UNREADABLE as error:
            tried.append(f"{path}: cannot be used ({_why(error)})")
        else:
            yield ring.opened[path], str(path)
    for path in locked:
        key_file = _unlock(path, route, tried)
        if key_file is not None:
            ring.opened[path] = key_file
            yield key_file, str(path)


def _unlock(path: Path, route: Route, tried: list[str]) -> paramiko.PKey | None:
    if route.batch or not terminal.there_is_one():
        tried.append(f"{path}: has a passphrase, and there is no terminal to ask for it (`ssh-add` it)")
        return None
    for _ in range(_PASSPHRASES):
        said = terminal.ask(f"passphrase of {path}: ")
        if not said:
            break
        try:
            return paramiko.PKey.from_path(path, said.encode())  # type: ignore[arg-type]
        except _UNREADABLE:
            continue
    tried.append(f"{path}: the passphrase was not right")
    return None


def _public(path: Path) -> bytes:
    """The public half, from the .pub file beside; empty where there is none."""
    try:
        return PublicBlob.from_file(f"{path}.pub").key_blob
    except (OSError, ValueError):
        return b""


def _why(error: Exception) -> str:
    if isinstance(error, UnknownKeyType | UnsupportedAlgorithm):
        return "this kind of key works from an agent only"
    return (str(error) or type(error).__name__).splitlines()[0]


def _refused(route: Route, tried: list[str], *, cut: bool = False) -> NotReady:
    listed = "".join(f"\n  {line}" for line in tried) or "\n  no key at all: no agent, and none of the identity files"
    if cut:
        return NotReady(
            f"{route.name}: hung up on user `{route.user}` after these keys:{listed}",
            hint="too many keys? name the right one in ~/.ssh/config: IdentityFile …, and IdentitiesOnly yes",
        )
    key = next((str(p) for p in route.identities if p.is_file()), "")
    port = f"-p {route.port} " if route.port != 22 else ""
    return NotReady(
        f"{route.name}: takes none of the keys for user `{route.user}`. Tried:{listed}",
        hint=f"`ssh-copy-id {f'-i {key} ' if key else ''}{port}{route.user}@{route.host}` puts yours there;"
        f" `ssh -v {route.name}` shows what ssh tries",
    )


class _Agent:
    def __init__(self, path: str) -> None:
        self.keys: tuple[paramiko.AgentKey, ...] = ()
        self._agent = AgentSSH()
        if not path or not hasattr(socket, "AF_UNIX"):
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            connection.settimeout(60)  # somebody may have to confirm the use of a key
            self._agent._connect(connection)  # type: ignore[attr-defined]
        except (OSError, paramiko.SSHException):
            connection.close()
            return
        self.keys = self._agent.get_keys()

    def close(self) -> None:
        self._agent._close()  # type: ignore[attr-defined]
