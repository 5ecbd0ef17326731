"""What the user's ssh would do to reach a host. `ssh -G` says it, with Include, Match and all."""

import getpass
import os
import re
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import paramiko

from voicedeploy.errors import NotReady, UsageError

_MOST_JUMPS = 8
_FAMILIES: Mapping[str, Literal["any", "inet", "inet6"]] = {"inet": "inet", "inet6": "inet6"}
_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519")
_GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")


@dataclass(frozen=True)
class Route:
    """How to reach a host; `jumps` come first, in the order in which they are gone through."""

    name: str
    """As the user calls it; the name in every message."""
    host: str
    port: int
    user: str
    identities: tuple[Path, ...] = ()
    """Private keys in the order of trial; some may not exist."""
    identities_only: bool = False
    agent: str = ""
    """The agent's socket; empty: none."""
    known_hosts: tuple[Path, ...] = ()
    """The user's files, the one that takes new keys first."""
    global_known_hosts: tuple[Path, ...] = ()
    host_key_alias: str = ""
    hash_known_hosts: bool = False
    accept_new: bool = False
    """A key of a host never seen before is taken. A changed one never is."""
    jumps: tuple["Route", ...] = ()
    proxy_command: str = ""
    connect_timeout_s: float = 10.0
    family: Literal["any", "inet", "inet6"] = "any"
    batch: bool = False
    """Nobody is asked for anything."""
    note: str = ""
    """What the user has to know about how this was found out; mostly empty."""

    @property
    def known_as(self) -> str:
        """The name of the host in known_hosts."""
        name = (self.host_key_alias or self.host).lower()
        return name if self.port == 22 or self.host_key_alias else f"[{name}]:{self.port}"

    @property
    def at(self) -> str:
        """The address for a person to read."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def command(self) -> str:
        """What a person types to get there."""
        return f"ssh {self.name}"


@dataclass(frozen=True)
class _Address:
    host: str
    user: str = ""
    port: int | None = None


def route(host: str, *, config: Path | None = None) -> Route:
    """The way to `host`: an alias of ~/.ssh/config, `name`, `user@name`, `[v6]` or `ssh://user@name:port`.

    `config` stands for ~/.ssh/config and /etc/ssh/ssh_config. Raises `UsageError` for what no host can be called, and
    `NotReady` if the configuration cannot be read.
    """
    return _resolve(host, _parse(host), config, _MOST_JUMPS)


def _parse(text: str) -> _Address:
    match = re.fullmatch(
        r"(?P<uri>ssh://)?(?:(?P<user>[^@]*)@)?(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]]*?))"
        r"(?::(?P<port>\d+))?/?"
        if text.startswith("ssh://") or "[" in text
        else r"(?P<uri>(?!))?(?:(?P<user>.*)@)?(?P<v6>(?!))?(?P<host>[^@]*)(?P<port>(?!))?",
        text,
    )
    if match is None:
        raise UsageError(
            f"host {text!r}: that is no name of a host", hint="e.g. homelab, root@203.0.113.7 or [2001:db8::1]"
        )
    host, user = match["v6"] or match["host"] or "", match["user"] or ""
    if text.startswith("-") or host.startswith("-") or user.startswith("-"):
        raise UsageError(f"host {text!r}: a name cannot begin with `-`")
    if (
        not host
        or re.search(r"[\s'\"`$\\;&<>|(){}\x00-\x1f\x7f/]", host)
        or re.search(r"[\s'\"`;&<>|(){}\x00-\x1f]", user)
    ):
        raise UsageError(
            f"host {text!r}: that is no name of a host", hint="e.g. homelab, root@203.0.113.7 or [2001:db8::1]"
        )
    if not match["v6"] and re.fullmatch(r"[^:]+:\d+", host):
        raise UsageError(f"host {text!r}: ssh takes a port like this: ssh://{user + '@' if user else ''}{host}")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise UsageError(f"host {text!r}: {port} is no port")
    return _Address(host, user, port)


def _resolve(name: str, address: _Address, config: Path | None, depth: int) -> Route:
    if depth == 0:
        raise NotReady(
            f"{name}: more than {_MOST_JUMPS} jumps", hint="does a ProxyJump in ~/.ssh/config lead back to itself?"
        )
    said = _ask(name, address, config)
    words = _Words(name, address, said)
    jump = words.one("proxyjump")
    jumps: tuple[Route, ...] = ()
    if jump and jump.lower() != "none":
        first, *others = (j.strip() for j in jump.split(","))
        nearest = _jump(first, config, depth - 1)
        # As ssh does it: only the first of the list may have a way of its own.
        further = (_jump(other, config, depth - 1) for other in others)
        jumps = (
            *nearest.jumps,
            replace(nearest, jumps=()),
            *(replace(r, jumps=(), proxy_command="") for r in further),
        )
    command = words.one("proxycommand")
    return Route(
        name=name,
        host=words.host,
        port=words.port,
        user=words.user,
        identities=tuple(words.path(p) for p in said.get("identityfile", ()) if p.lower() != "none"),
        identities_only=words.yes("identitiesonly"),
        agent=words.agent(),
        known_hosts=words.paths("userknownhostsfile"),
        global_known_hosts=words.paths("globalknownhostsfile"),
        host_key_alias=words.one("hostkeyalias"),
        hash_known_hosts=words.yes("hashknownhosts"),
        accept_new=words.one("stricthostkeychecking") in ("accept-new", "false", "no", "off"),
        jumps=jumps,
        proxy_command="" if command.lower() in ("", "none") else words.expand(command),
        connect_timeout_s=float(t) if (t := words.one("connecttimeout")).isdigit() and int(t) else 10.0,
        family=_FAMILIES.get(words.one("addressfamily"), "any"),
        batch=words.yes("batchmode"),
        note=words.one("voicedeploy-note"),
    )


def _jump(text: str, config: Path | None, depth: int) -> Route:
    """ProxyJump takes `user@host:port` too."""
    address = _parse(text if text.startswith("ssh://") else f"ssh://{text}")
    name = f"ssh://{text}" if address.port and not text.startswith("ssh://") else text
    return _resolve(name, address, config, depth)


def _ask(name: str, address: _Address, config: Path | None) -> Mapping[str, list[str]]:
    program = shutil.which("ssh")
    if program is None:
        return _without_ssh(name, address, config)
    argv = [program, *(("-F", str(config)) if config else ()), "-G"]
    argv += ["-p", str(address.port)] if address.port else []
    argv += ["-l", address.user] if address.user else []
    try:
        done = subprocess.run(
            [*argv, "--", address.host], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotReady(
            f"{name}: `ssh -G {name}` does not end", hint="does a `Match exec` in ~/.ssh/config hang?"
        ) from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NotReady(f"{name}: ssh says: {lines[-1] if lines else 'nothing'}", hint=f"`ssh -G {name}` shows it")
    said = defaultdict(list)
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        said[key.lower()].append(value)
    return said


def _without_ssh(name: str, address: _Address, config: Path | None) -> Mapping[str, list[str]]:
    file = config or _home() / ".ssh" / "config"
    said: dict[str, list[str]] = {
        "hostname": [address.host],
        "port": [str(address.port or 22)],
        "user": [address.user or getpass.getuser()],
        "identityfile": [f"~/.ssh/{key}" for key in _DEFAULT_KEYS],
        "userknownhostsfile": ["~/.ssh/known_hosts"],
        "globalknownhostsfile": [" ".join(_GLOBAL_KNOWN_HOSTS)],
    }
    try:
        text = file.read_text("utf-8", "surrogateescape")
        found = paramiko.SSHConfig.from_text(text).lookup(address.host)
    except FileNotFoundError:
        return said
    except (OSError, paramiko.ConfigParseError, paramiko.CouldNotCanonicalize) as error:
        raise NotReady(f"{name}: {file}: {error}") from error
    for key, value in found.items():
        values = list(value) if isinstance(value, list) else [value]
        if (key, bool(address.user)) != ("user", True) and (key, bool(address.port)) != ("port", True):
            said[key] = values
    if re.search(r"(?im)^\s*include\b", text):
        said["voicedeploy-note"] = [f"there is no `ssh` program here, so the Include lines of {file} are not read"]
    return said


class _Words:
    """The answers, with the tokens that `ssh -G` leaves in them filled in."""

    def __init__(self, name: str, address: _Address, said: Mapping[str, list[str]]) -> None:
        self._said = said
        self.host = (self.one("hostname") or address.host).removeprefix("[").removesuffix("]")
        self.port = int(self.one("port") or 22)
        self.user = self.one("user") or getpass.getuser()
        here = socket.gethostname()
        self._tokens = {
            "%": "%",
            "d": str(_home()),
            "h": self.host,
            "i": str(os.getuid()) if hasattr(os, "getuid") else "",
            "k": self.one("hostkeyalias") or address.host,
            "L": here.partition(".")[0],
            "l": here,
            "n": address.host,
            "p": str(self.port),
            "r": self.user,
            "u": getpass.getuser(),
        }
        self._name = name

    def one(self, key: str) -> str:
        return next(iter(self._said.get(key, ())), "")

    def yes(self, key: str) -> bool:
        return self.one(key).lower() in ("yes", "true")

    def expand(self, text: str) -> str:
        return re.sub(r"%(.)", lambda m: self._tokens.get(m[1], m[0]), text)

    def path(self, text: str) -> Path:
        text = re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], ""), self.expand(text.strip('"')))
        return _home() / text[2:] if text.startswith("~/") else Path(text)

    def paths(self, key: str) -> tuple[Path, ...]:
        text = self.one(key)
        if text.lower() == "none":
            return ()
        # One line, separated by spaces; a name with a space in it is seen only if it is the only one.
        whole = self.path(text)
        return (whole,) if " " in text and whole.exists() else tuple(self.path(p) for p in text.split())

    def agent(self) -> str:
        text = self.one("identityagent") or "SSH_AUTH_SOCK"
        if text.lower() == "none":
            return ""
        if text == "SSH_AUTH_SOCK" or text.startswith("$"):
            return os.environ.get(text.lstrip("$").strip("{}"), "")
        return str(self.path(text))


def _home() -> Path:
    """The home folder as ssh sees it: that of the account, not $HOME."""
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):
        return Path.home()
