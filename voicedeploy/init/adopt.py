"""An existing Pipecat bot becomes a project of `voicedeploy`: one new file, nothing else touched."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from voicedeploy import project, spec
from voicedeploy.errors import NotReady, UsageError
from voicedeploy.init import names, source
from voicedeploy.network import Transport
from voicedeploy.render import render

_NOT_READ = ("requirements*.txt", "requirements/*.txt", "Pipfile", "environment.y*ml", "setup.py", "setup.cfg")


@dataclass(frozen=True)
class Adopted:
    """`transports` are those the bot's source serves, empty where it does not tell; `notes` are worth a line each."""

    root: Path
    name: str
    entry: str
    transport: Transport
    transports: tuple[Transport, ...]
    secrets: tuple[str, ...]
    dependencies: project.Dependencies
    notes: tuple[str, ...]
    files: tuple[str, ...] = (spec.FILE,)


def adopt(
    directory: Path,
    *,
    name: str | None = None,
    transport: Transport | None = None,
    provider: str = "local",
    entry: str | None = None,
) -> Adopted:
    """Write voicedeploy.toml for the bot in `directory`; its code is read, never executed, and never changed.

    Without `transport` it is WebRTC where the bot serves it, else the first that it serves.
    """
    root = directory.resolve()
    if not root.is_dir():
        raise UsageError(f"{directory}: there is no such folder", hint="name the folder of the bot")
    if (root / spec.FILE).exists():
        raise UsageError(f"{directory / spec.FILE}: this is a project of voicedeploy already", hint="voicedeploy up")
    bot = source.read(root, _entry(root, directory, entry))
    kind = _transport(bot, transport)
    chosen = names.checked(name) if name is not None else names.of_folder(root)
    dependencies = _dependencies(root)
    text = render(
        "bot/voicedeploy.toml.j2",
        {
            "name": chosen,
            "entry": bot.entry,
            "transport": kind.value,
            "serves": [served.value for served in bot.transports],
            "provider": provider,
            "secrets": bot.secrets,
        },
    )
    with (root / spec.FILE).open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return Adopted(
        root=root,
        name=chosen,
        entry=bot.entry,
        transport=kind,
        transports=bot.transports,
        secrets=bot.secrets,
        dependencies=dependencies,
        notes=_notes(root, dependencies),
    )


def _entry(root: Path, shown: Path, wanted: str | None) -> Path:
    found = source.entries(root)
    if wanted is not None:
        if root / wanted in found:
            return root / wanted
        raise NotReady(f"{wanted}: has no `async def bot(runner_args)`", hint=_seen(root, found))
    if not found:
        raise NotReady(
            f"{shown}: not empty, and no file in it has `async def bot(runner_args)`",
            hint="name an empty or new folder for a new bot, or give your bot that function: "
            "https://docs.pipecat.ai/server/utilities/runner/guide",
        )
    if len(found) == 1 or found[0] == root / "bot.py":
        return found[0]
    raise NotReady(
        f"{shown}: {len(found)} files have `async def bot(runner_args)`: "
        + ", ".join(path.relative_to(root).as_posix() for path in found),
        hint=f"run `voicedeploy init` in the folder of the one you mean, or write {spec.FILE} with its name:\n"
        f'[bot]\nname = "…"\nentry = "{found[0].relative_to(root).as_posix()}"',
    )


def _seen(root: Path, found: list[Path]) -> str:
    return "it is in: " + ", ".join(p.relative_to(root).as_posix() for p in found) if found else "no file here has it"


def _transport(bot: source.BotSource, wanted: Transport | None) -> Transport:
    if wanted is None:
        return Transport.WEBRTC if Transport.WEBRTC in bot.transports or not bot.transports else bot.transports[0]
    if bot.transports and wanted not in bot.transports:
        raise NotReady(
            f"{bot.entry}: the bot does not serve {wanted.value!r}, only {', '.join(bot.transports)}",
            hint=f'add "{wanted.value}" to the dictionary that it gives to `create_transport`',
        )
    return wanted


def _dependencies(root: Path) -> project.Dependencies:
    """What the project depends on, or a refusal that says which tool can write what uv reads."""
    pyproject = root / "pyproject.toml"
    if pyproject.is_file():
        try:
            document = tomllib.loads(pyproject.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise NotReady(f"pyproject.toml: {error}", hint="correct it, then run this again") from None
        if "project" not in document:
            if "poetry" in document.get("tool", {}):
                raise NotReady(
                    "pyproject.toml: only Poetry can read it: it has [tool.poetry] and no [project]",
                    hint="`uvx migrate-to-uv` rewrites it, or `poetry export -o requirements.txt` and move it away",
                )
            if not (root / "requirements.txt").is_file():
                raise NotReady(
                    "pyproject.toml: it has no [project], so it does not say what the bot depends on",
                    hint='add [project] with dependencies = ["pipecat-ai[webrtc]==1.14.*"], or a requirements.txt',
                )
            # A pyproject.toml that only configures tools.
            return project.Dependencies(project.Source.REQUIREMENTS, ("requirements.txt",))
        return project.dependencies(root)
    if not (root / "requirements.txt").is_file():
        others = sorted(path.relative_to(root).as_posix() for pattern in _NOT_READ for path in root.glob(pattern))
        if others:
            raise NotReady(
                f"{', '.join(others)}: not a way to say what the bot depends on that is known here",
                hint="known are uv.lock, pyproject.toml with [project], and requirements.txt",
            )
    return project.dependencies(root)


def _notes(root: Path, dependencies: project.Dependencies) -> tuple[str, ...]:
    notes = []
    if not dependencies.locked:
        remedy = "uv lock" if dependencies.source is project.Source.PYPROJECT else "pin them with =="
        notes.append(f"{dependencies.files[0]} is not locked: a later `up` may get other versions ({remedy})")
    if (root / ".env").exists():
        notes.append(".env stays on this machine: set what is in it by `voicedeploy secrets set`")
    return tuple(notes)
