"""A switch to another transport: what it changes around the bot, the files that it changes, and their way back."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voicedeploy import packages, project, transports
from voicedeploy.editing import with_kind
from voicedeploy.errors import NotReady
from voicedeploy.lint import Fault
from voicedeploy.network import (
    BoundUdp,
    DialsOut,
    Offer,
    OpenUdp,
    ServesHttp,
    ServesMedia,
    Transport,
    need,
    receives_media,
)
from voicedeploy.spec import Spec


@dataclass(frozen=True)
class Change:
    """One line of what is different afterwards."""

    subject: str
    message: str


class Files:
    """Files that are changed, each whole or not at all, and that can be put back as they were."""

    def __init__(self) -> None:
        self._before: dict[Path, bytes] = {}

    def write(self, path: Path, content: bytes) -> None:
        self.remember(path)
        _put(path, content)

    def remember(self, path: Path) -> None:
        """Somebody else is about to change it."""
        self._before.setdefault(path, path.read_bytes())

    def restore(self) -> None:
        for path, content in self._before.items():
            if path.read_bytes() != content:
                _put(path, content)

    @property
    def changed(self) -> bool:
        return any(path.read_bytes() != content for path, content in self._before.items())


def _put(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def edit(files: Files, spec: Spec, kind: Transport) -> str:
    """Puts the new transport into the spec; the line that changed, as `voicedeploy.toml:20  kind = "twilio"`, or ""."""
    before = spec.file.read_bytes().decode("utf-8")
    after = with_kind(before, kind)
    if after == before:
        return ""
    files.write(spec.file, after.encode("utf-8"))
    old, new = before.splitlines(), after.splitlines()
    number = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    shown = next((line for line in new[number:] if kind in line), f'back to the default, "{kind}"').strip()
    return f"{spec.file.name}:{number + 1}  {shown}"


@contextmanager
def staged(spec: Spec) -> Iterator[Path]:
    """A copy of the project, to try things on; the spec in it. The same files make the same release there."""
    with tempfile.TemporaryDirectory(prefix="voicedeploy-switch-") as folder:
        copy = Path(folder).resolve()
        own = spec.file.relative_to(spec.root).as_posix()
        for name in {*project.files(spec.root), own}:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(spec.root / name, copy / name)
        yield copy / own


# --- the bot's code ---------------------------------------------------------------------------------


def stops(faults: Collection[Fault]) -> list[Fault]:
    return [fault for fault in faults if fault.severity == "error"]


def refuse(faults: Collection[Fault], kind: Transport, *, patches: bool) -> None:
    """`NotReady` where a fault keeps the bot from that transport. `patches`: the message has them too."""
    errors = stops(faults)
    if not errors:
        return
    said = [f"the bot is not ready for `{kind}`"]
    for fault in errors:
        said += [f"{fault.path}:{fault.line}: {fault.code}  {fault.message}", *([fault.patch] if patches else [])]
    ready = any(fault.patch for fault in errors)
    hint = f"`voicedeploy switch-transport {kind} --patch` applies the patch that is shown" if ready else errors[0].fix
    raise NotReady("\n".join(said), hint=f"{hint}\nnothing was changed")


# --- what changes -----------------------------------------------------------------------------------


def changes(old: Spec, new: Spec, offer: Offer, secrets: Collection[str], url: str) -> list[Change]:
    """Around the bot, from `old` to `new`. `offer`: what the target carries for the new one; `secrets`: the names that
    are set there; `url`: the bot's address, "" where it has none yet."""
    kind = new.transport.kind
    about = transports.about(kind)
    return [
        Change("packages", _packages(old, new)),
        Change("ports", _ports(old.transport.kind, kind, offer)),
        Change("proxy", _proxy(kind)),
        *_relays(new),
        Change("secrets", _secrets(new, secrets)),
        Change("callers", about.caller.replace("{url}", url or "https://YOUR-BOT/")),
        Change("cost", about.cost),
    ]


def _packages(old: Spec, new: Spec) -> str:
    root, before, after = new.root, old.transport.kind, new.transport.kind
    asked = {kind: packages.requirements(root, kind) for kind in (before, after)}
    if asked[before] == asked[after]:
        return "as before"
    parts = [f"{sign} {' '.join(asked[kind])}" for sign, kind in (("-", before), ("+", after)) if asked[kind]]
    return f"{'   '.join(parts)}   (extras of the project: neither pyproject.toml nor uv.lock changes)"


def _ports(before: Transport, after: Transport, offer: Offer) -> str:
    if receives_media(after):
        match offer.udp_in:
            case OpenUdp(ports=ports):
                return f"UDP {ports} for calls, and open in the firewall"
            case BoundUdp(ports=ports, conditions=where):
                return f"UDP for calls: {ports}, {where}"
            case _:
                return "UDP for calls, and open in the firewall"
    if receives_media(before):
        return "no UDP range any more; a firewall that `up` opened is closed after the last call on it"
    return "no UDP range, as before"


def _proxy(kind: Transport) -> str:
    match need(kind):
        case DialsOut():
            return "only `/start` comes in, by HTTPS; the sound leaves as UDP, to the room"
        case ServesHttp() if transports.carried(kind):
            return "the carrier comes in by HTTPS and one WebSocket a call: from the internet, with a valid certificate"
        case ServesHttp():
            return "one WebSocket a call comes in by HTTPS, and carries the sound"
        case ServesMedia():
            return "offers come in by HTTPS; the sound goes beside it"


def _relays(new: Spec) -> list[Change]:
    kind, servers = new.transport.kind, (*new.transport.turn, *new.transport.ice_servers)
    if receives_media(kind):
        return [Change("turn", f"{len(servers)} servers" if servers else "none; needed only where UDP is closed")]
    return [Change("turn", f"`{kind}` uses none; what stands in [transport] stays there")] if servers else []


def _secrets(new: Spec, there: Collection[str]) -> str:
    named = [f"{name}{'' if name in there else ' (not set)'}" for name in transports.secrets(new)]
    return ", ".join(named) or "none"
