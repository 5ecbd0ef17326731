"""Whether the key that a host shows is the one that the user knows."""

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from voicedeploy.errors import NotReady
from voicedeploy_providers.vm.ssh.config import Route


@dataclass(frozen=True)
class _Line:
    marker: str
    names: str
    kind: str
    blob: bytes
    where: str


@dataclass
class Known:
    """What the known_hosts files say about one host."""

    keys: list[_Line] = field(default_factory=list)
    without_port: list[_Line] = field(default_factory=list)
    """Keys of the same name at port 22: they can confirm a key, as with ssh, and never contradict one."""
    revoked: list[_Line] = field(default_factory=list)
    authorities: list[_Line] = field(default_factory=list)

    @classmethod
    def of(cls, route: Route) -> "Known":
        known = cls()
        plain = (route.host_key_alias or route.host).lower()
        for line in _lines((*route.known_hosts, *route.global_known_hosts)):
            named = _matches(line.names, route.known_as)
            if line.marker == "@revoked":
                if named or _matches(line.names, plain):
                    known.revoked.append(line)
            elif line.marker == "@cert-authority":
                if named:
                    known.authorities.append(line)
            elif named:
                known.keys.append(line)
            elif _matches(line.names, plain):
                known.without_port.append(line)
        return known

    def prefer(self, offered: Iterable[str]) -> tuple[str, ...]:
        """The algorithms of `offered`, those whose key is known first: else the host might show another one."""
        kinds = {line.kind for line in (self.keys or self.without_port)}
        return tuple(sorted(offered, key=lambda a: ("ssh-rsa" if a.startswith("rsa-sha2") else a) not in kinds))

    def check(self, route: Route, key: paramiko.PKey) -> None:
        """Raises `NotReady` unless `key` is known, or new where the user's configuration takes new ones."""
        blob, kind = key.asbytes(), key.get_name()
        if any(line.blob == blob for line in self.revoked):
            raise NotReady(f"{route.name}: its {kind} key {fingerprint(blob)} is marked as revoked in known_hosts")
        if any(line.blob == blob for line in (*self.keys, *self.without_port)):
            return
        if self.keys:
            raise _changed(route, self.keys, kind, blob)
        if not route.accept_new:
            raise _unknown(route, kind, blob, bool(self.authorities))
        _add(route, kind, blob)


def fingerprint(blob: bytes) -> str:
    """`SHA256:…`, as `ssh-keygen -lf` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _unknown(route: Route, kind: str, blob: bytes, authority: bool) -> NotReady:
    more = "; the certificate authority in known_hosts is not looked at" if authority else ""
    return NotReady(
        f"{route.name}: unknown host key: {kind} {fingerprint(blob)} ({route.at}){more}",
        hint=f"`{route.command} true` shows and accepts it: compare the fingerprint with the one that the host's"
        " console or provider shows",
    )


def _changed(route: Route, lines: list[_Line], kind: str, blob: bytes) -> NotReady:
    line = next((known for known in lines if known.kind == kind), lines[0])
    return NotReady(
        f"{route.name}: THE HOST KEY HAS CHANGED. Somebody may be listening in between, or the host was set up anew.\n"
        f"  known: {line.kind} {fingerprint(line.blob)} ({line.where})\n"
        f"  shown: {kind} {fingerprint(blob)} ({route.at})",
        hint="find out why first: ask who runs the host, or compare the fingerprint on its console. Only if it was set"
        f" up anew: `ssh-keygen -R '{route.known_as}' -f {line.where.rpartition(':')[0]}`, then `{route.command} true`",
    )


def _add(route: Route, kind: str, blob: bytes) -> None:
    if not route.known_hosts:
        return
    name = route.known_as
    if route.hash_known_hosts:
        salt = os.urandom(20)
        name = "|1|{}|{}".format(*(base64.b64encode(part).decode() for part in (salt, _hashed(salt, name))))
    path = route.known_hosts[0]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
            # A last line without its end would swallow ours.
            text = path.read_bytes() if path.is_file() else b""
            file.write(b"\n" if text and not text.endswith(b"\n") else b"")
            file.write(f"{name} {kind} {base64.b64encode(blob).decode()}\n".encode())
    except OSError as error:
        raise NotReady(f"{route.name}: its new host key cannot be written: {error}") from error


def _lines(paths: Iterable[Path]) -> Iterator[_Line]:
    for path in paths:
        try:
            text = path.read_text("utf-8", "replace") if path.is_file() else ""
        except OSError as error:
            raise NotReady(f"known hosts cannot be read: {error}") from error
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            marker = words.pop(0) if words[0].startswith("@") else ""
            if len(words) < 3:
                continue
            try:
                blob = base64.b64decode(words[2], validate=True)
            except (binascii.Error, ValueError):
                continue
            yield _Line(marker, words[0], words[1], blob, f"{path}:{number}")


def _matches(names: str, name: str) -> bool:
    found = False
    for pattern in names.split(","):
        if pattern.startswith("|1|"):
            try:
                salt, digest = (base64.b64decode(part) for part in pattern[3:].split("|"))
            except (binascii.Error, ValueError):
                continue
            found |= hmac.compare_digest(_hashed(salt, name), digest)
        elif fnmatch.fnmatchcase(name, pattern.lstrip("!").lower().replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _hashed(salt: bytes, name: str) -> bytes:
    return hmac.new(salt, name.encode(), hashlib.sha1).digest()
