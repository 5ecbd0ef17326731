"""A change as a value: computed once, printed, and then performed exactly as printed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from voicedeploy.way import Way


@dataclass(frozen=True)
class Command:
    """A program to run on the target. `stdin` may hold secrets and is never shown."""

    argv: tuple[str, ...]
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = field(default=b"", repr=False)
    timeout_s: float = 600.0


@dataclass(frozen=True)
class Write:
    """A file to write, whole or not at all. The content of a `secret` one is never shown."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    secret: bool = False


@dataclass(frozen=True)
class Upload:
    """Files below the local folder `root` that become the new folder `to` on the target, whole or not at all."""

    root: Path
    files: tuple[str, ...]
    to: str


@dataclass(frozen=True)
class Remove:
    """Folders and files that go from the target; one that is not there is fine."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """A program that goes on after the command ends, its output appended to `log`."""

    argv: tuple[str, ...]
    log: str
    pid_file: str


@dataclass(frozen=True)
class Stop:
    """Ends the program that `Start` recorded in `pid_file`: asks, waits `grace_s`, then kills. Not running is fine."""

    pid_file: str
    grace_s: float = 5.0


@dataclass(frozen=True)
class Call:
    """An HTTP request; over the unix socket `socket` where one is named. Repeated for `wait_s` until it answers 200."""

    method: str
    url: str
    socket: str = ""
    body: Mapping[str, Any] | None = None
    wait_s: float = 0.0
    log: str = ""
    """A log on the target whose last lines say why, should the call fail."""


@dataclass(frozen=True)
class Publish:
    """An image of the release, made here without a container engine, and brought to a registry as `to`.

    `root` and `files` are the bot's, `base` is the image it stands on.
    """

    to: str
    base: str
    root: Path
    files: tuple[str, ...]


@dataclass(frozen=True)
class Prove:
    """A real call that must be heard. It is made from where the command was typed, or by `at_target`.

    `at_target` runs on the target, behind whatever stands before it, and prints a report as `call --json` does.
    """

    door: "Door"
    at_target: Command | None = None


Action = Command | Write | Upload | Remove | Start | Stop | Call | Publish | Prove
Question = Command | Call


@dataclass(frozen=True)
class Door:
    """Where a caller knocks: an address, or the front's private unix socket behind it, and the key that opens it."""

    url: str
    socket: str = ""
    key: str = field(default="", repr=False)
    ca: str = ""
    """Certificates in PEM to trust beside the system's; a target with a certificate authority of its own has one."""
    page: bool = True
    """Whether people can open the address, and an invite made with the key lets them in."""
    way: Way | None = None
    """None where a front stands, which says all that itself."""


Change = Literal["+", "~", "-", "✓"]


@dataclass(frozen=True)
class Step:
    """One line of the plan. `undo` is performed if a later step fails before the plan's point of no return."""

    change: Change
    subject: str
    detail: str
    action: Action
    undo: Action | None = None
    commits: bool = False
    """After this step nothing is undone any more: traffic has moved."""

    @property
    def summary(self) -> str:
        return f"{self.subject}  {self.detail}".rstrip()


@dataclass(frozen=True)
class Plan:
    provider: str
    bot: str
    have: str | None
    want: str | None
    steps: tuple[Step, ...] = ()
    asks: bool = True
    """A person is asked before it is carried out."""
    verify: bool = False
    """Afterwards one more call is made, through the address that callers use, from where the command was typed."""

    @property
    def empty(self) -> bool:
        return not self.steps

    def without_proof(self) -> "Plan":
        """The same change, taken on trust."""
        return replace(self, steps=tuple(s for s in self.steps if not isinstance(s.action, Prove)), verify=False)

    def at_once(self) -> "Plan":
        """The same change without waiting for anybody: running calls are cut."""
        return replace(
            self,
            steps=tuple(
                replace(s, action=replace(s.action, grace_s=0.0)) if isinstance(s.action, Stop) else s
                for s in self.steps
            ),
        )


class Target(Protocol):
    """A place that can be looked at (`ask`) and changed (`perform`). Only `perform` changes anything.

    Both raise `StepFailed` with what the target said; where a bot's log has the reason, its last lines come with it.
    """

    def ask(self, question: Question) -> str: ...

    def perform(self, action: Action) -> str:
        """Carries out `action`; the answer is a short note for the person who watches, mostly empty."""
        ...


def describe(action: Action) -> dict[str, Any]:
    """The action as plain data for `--json`, without secrets."""
    kind = type(action).__name__.lower()
    match action:
        case Command(argv=argv, cwd=cwd, env=env):
            return {"kind": kind, "argv": list(argv), "cwd": cwd, "env": sorted(env)}
        case Write(path=path, mode=mode, content=content, secret=secret):
            shown: dict[str, Any] = {"kind": kind, "path": path, "mode": f"{mode:04o}"}
            return shown if secret else {**shown, "content": content.decode("utf-8", "replace")}
        case Upload(root=root, files=files, to=to):
            return {"kind": kind, "from": str(root), "files": list(files), "to": to}
        case Remove(paths=paths):
            return {"kind": kind, "paths": list(paths)}
        case Start(argv=argv, log=log):
            return {"kind": kind, "argv": list(argv), "log": log}
        case Stop(pid_file=pid_file, grace_s=grace_s):
            return {"kind": kind, "pid_file": pid_file, "grace_s": grace_s}
        case Call(method=method, url=url, socket=socket, body=body):
            return {"kind": kind, "method": method, "url": url, "socket": socket, "body": body}
        case Publish(to=to, base=base, root=root, files=files):
            return {"kind": kind, "to": to, "base": base, "from": str(root), "files": list(files)}
        case Prove(door=door, at_target=there):
            return {"kind": kind, "url": door.url, "socket": door.socket, "at_target": bool(there)}
