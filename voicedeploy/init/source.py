"""What the source of a bot says about it, read as a syntax tree and never executed."""

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voicedeploy.errors import NotReady
from voicedeploy.lint.pipecat import pipecat
from voicedeploy.lint.sources import Sources
from voicedeploy.network import Transport

_SKIPPED = {"node_modules", "venv", "env", "site-packages", "__pycache__", "tests", "test", "build", "dist"}
_DEEPEST = 3
_MOST_FILES = 2000

# What a bot without `create_transport` names when it makes a transport itself.
_MARKS = {
    "SmallWebRTCRunnerArguments": Transport.WEBRTC,
    "SmallWebRTCTransport": Transport.WEBRTC,
    "webrtc_connection": Transport.WEBRTC,
    "DailyRunnerArguments": Transport.DAILY,
    "DailyTransport": Transport.DAILY,
    "LiveKitRunnerArguments": Transport.LIVEKIT,
    "LiveKitTransport": Transport.LIVEKIT,
    "TwilioFrameSerializer": Transport.TWILIO,
    "TelnyxFrameSerializer": Transport.TELNYX,
    "PlivoFrameSerializer": Transport.PLIVO,
    "ExotelFrameSerializer": Transport.EXOTEL,
    "ProtobufFrameSerializer": Transport.WEBSOCKET,
}
# Read by many bots, set by every system or by the runner: nothing that anybody has to provide.
_NOT_SECRET = {"DEBUG", "ENV", "HOME", "HOST", "HOSTNAME", "LANG", "LOG_LEVEL", "PATH", "PORT", "SHELL", "TZ", "USER"}
_SOUNDS_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")


@dataclass(frozen=True)
class BotSource:
    """`entry` is relative to the project, with `/`. `transports` is empty where the source does not tell."""

    entry: str
    transports: tuple[Transport, ...]
    secrets: tuple[str, ...]


def entries(root: Path) -> list[Path]:
    """The files below `root` that define `async def bot(…)` with an argument, the nearest first."""
    found = [path for path in _python_files(root) if _defines_bot(_parse(path, root))]
    return sorted(found, key=lambda path: (len(path.parts), path))


def read(root: Path, entry: Path) -> BotSource:
    """What `entry`, and the modules of the project it imports, say."""
    sources = Sources(root, entry.relative_to(root).as_posix(), pipecat())
    modules = [module.tree for module in sources.modules.values()]
    transports = {key for tree in modules for key in _transport_keys(tree)}
    if not transports:
        transports = {_MARKS[name] for tree in modules for name in _used_names(tree) if name in _MARKS}
    return BotSource(
        entry=entry.relative_to(root).as_posix(),
        transports=tuple(kind for kind in Transport if kind in transports),
        secrets=tuple(dict.fromkeys(name for tree in modules for name in _secrets(tree))),
    )


def _python_files(root: Path) -> Iterator[Path]:
    seen = 0
    for folder, subfolders, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = sorted(
            d
            for d in subfolders
            if depth < _DEEPEST
            and not d.startswith(".")
            and d not in _SKIPPED
            and not (Path(folder) / d / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(".py"):
                seen += 1
                if seen > _MOST_FILES:
                    raise NotReady(
                        f"{root}: more than {_MOST_FILES} Python files",
                        hint="run this in the folder of the bot alone",
                    )
                yield Path(folder) / name


def _parse(path: Path, root: Path) -> ast.Module | None:
    """The tree; None for a file that is no Python of this version, unless it is the one everybody expects."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        if path == root / "bot.py":
            line = getattr(error, "lineno", None) or 1
            raise NotReady(
                f"bot.py:{line}: {getattr(error, 'msg', error)}", hint="correct it, then run this again"
            ) from None
        return None


def _defines_bot(tree: ast.Module | None) -> bool:
    return tree is not None and any(
        isinstance(node, ast.AsyncFunctionDef)
        and node.name == "bot"
        and bool(node.args.posonlyargs or node.args.args or node.args.vararg)
        for node in tree.body
    )


def _transport_keys(tree: ast.Module) -> Iterator[Transport]:
    """The keys of the dictionaries given to `create_transport`, written in the call or assigned to a name."""
    assigned: dict[str, ast.Dict] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and _last_name(node.func) == "create_transport"):
            continue
        for given in [*node.args[1:], *(keyword.value for keyword in node.keywords)]:
            table = assigned.get(given.id) if isinstance(given, ast.Name) else given
            for key in table.keys if isinstance(table, ast.Dict) else ():
                if isinstance(key, ast.Constant) and key.value in set(Transport):
                    yield Transport(key.value)


def _used_names(tree: ast.Module) -> Iterator[str]:
    """Names and attributes in use; an import alone is no use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield _last_name(node)


def _secrets(tree: ast.Module) -> Iterator[str]:
    """Environment variables that must be set: read without a default, or with one but named like a secret."""
    for node in ast.walk(tree):
        needed, name = False, None
        if isinstance(node, ast.Subscript) and _last_name(node.value) == "environ" and isinstance(node.ctx, ast.Load):
            needed, name = True, node.slice
        elif isinstance(node, ast.Call) and node.args and _reads_environment(node.func):
            needed, name = len(node.args) == 1 and not node.keywords, node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            variable = name.value
            loud = any(word in variable.upper() for word in _SOUNDS_SECRET)
            if (needed or loud) and variable not in _NOT_SECRET and not variable.startswith("PIPECAT_"):
                yield variable


def _reads_environment(function: ast.expr) -> bool:
    if _last_name(function) == "getenv":
        return True
    return isinstance(function, ast.Attribute) and function.attr == "get" and _last_name(function.value) == "environ"


def _last_name(node: ast.expr) -> str:
    """`os.environ` and `environ` are both `environ`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
