"""Modules, names and methods that Pipecat has no more: the bot fails where it uses them."""

import ast
import re
from collections.abc import Iterator

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.module import Module
from voicedeploy.lint.patches import Edit


def imports(bot: Bot) -> Iterator[Fault]:
    for module in bot.modules.values():
        for node in module.nodes:
            if isinstance(node, ast.ImportFrom | ast.Import) and _is_tried(module, node):
                continue
            if isinstance(node, ast.ImportFrom) and not node.level:
                yield from _from(bot, module, node)
            elif isinstance(node, ast.Import):
                yield from _whole(bot, module, node)
            elif isinstance(node, ast.Attribute):
                yield from _attribute(bot, module, node)


def _is_tried(module: Module, node: ast.AST) -> bool:
    """Whether a failing import is expected, or does not happen when the bot runs."""
    for up in module.above(node):
        if isinstance(up, ast.Try) or (isinstance(up, ast.If) and "TYPE_CHECKING" in ast.unparse(up.test)):
            return True
    return False


def _from(bot: Bot, module: Module, node: ast.ImportFrom) -> Iterator[Fault]:
    origin, pipecat = node.module or "", bot.pipecat
    if origin.partition(".")[0] != "pipecat":
        return
    names = [alias.name for alias in node.names]
    if not pipecat.has_module(origin):
        if bot.knows_all or origin in pipecat.removed["modules"] or any(n in pipecat.removed["names"] for n in names):
            home = _home(bot, origin, names)
            fix = f"from {home} import {', '.join(names)}" if home else _instead(bot, names, origin)
            yield Fault(
                "VD160", "error", module.path, node.lineno, f"Pipecat has no `{origin}`: the import fails",
                fix, _moved(module, node, home),
            )  # fmt: skip
        return
    gone = [n for n in names if n != "*" and not pipecat.has(origin, n) and bot.is_gone(origin, n)]
    home = _home(bot, origin, gone)
    for name in gone:
        fix = f"from {home} import {name}" if home else _instead(bot, [name], origin)
        yield Fault(
            "VD160", "error", module.path, node.lineno, f"`{origin}` has no `{name}`: the import fails",
            fix, _moved(module, node, home) if gone == names else "",
        )  # fmt: skip


def _whole(bot: Bot, module: Module, node: ast.Import) -> Iterator[Fault]:
    for alias in node.names:
        name = alias.name
        if name.partition(".")[0] != "pipecat" or bot.pipecat.has_module(name):
            continue
        moved = bot.pipecat.removed["modules"].get(name, "")
        if bot.knows_all or moved:
            yield Fault(
                "VD160", "error", module.path, node.lineno, f"Pipecat has no `{name}`: the import fails",
                f"import {moved}" if moved else _instead(bot, [], name),
            )  # fmt: skip


def _attribute(bot: Bot, module: Module, node: ast.Attribute) -> Iterator[Fault]:
    """`frames.StartInterruptionFrame` of a module, and methods that no class has any more."""
    owner = bot.written(module, node.value)
    if owner.startswith("pipecat.") and bot.pipecat.has_module(owner):
        if not bot.pipecat.has(owner, node.attr) and bot.is_gone(owner, node.attr):
            home = _home(bot, owner, [node.attr])
            yield Fault(
                "VD160", "error", module.path, node.lineno, f"`{owner}` has no `{node.attr}`: the bot fails here",
                f"{home}.{node.attr}" if home else _instead(bot, [node.attr], owner),
            )  # fmt: skip
    elif node.attr in bot.pipecat.removed["methods"] and isinstance(module.parents.get(node), ast.Call):
        ours = any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == node.attr
                   for m in bot.modules.values() for n in m.nodes)  # fmt: skip
        if not ours:
            yield Fault(
                "VD160", "error", module.path, node.lineno, f"nothing has `{node.attr}` any more: the bot fails here",
                bot.pipecat.removed["methods"][node.attr],
            )  # fmt: skip


def _home(bot: Bot, origin: str, names: list[str]) -> str:
    """The one module that has all the names now; "" where there is none, or more than one could be meant."""
    if not names or any(name in bot.pipecat.removed["names"] for name in names):
        return ""
    moved = bot.pipecat.removed["modules"].get(origin, "")
    if moved and all(bot.pipecat.has(moved, name) for name in names):
        return str(moved)
    near = origin if bot.pipecat.has_module(origin) else ".".join(origin.split(".")[:3])
    homes = [bot.pipecat.homes(name, near) for name in names]
    shared = [home for home in homes[0] if all(home in others for others in homes)]
    close = [home for home in shared if home.startswith(f"{near}.")]
    return close[0] if close else shared[0] if len(shared) == 1 else ""


def _instead(bot: Bot, names: list[str], origin: str) -> str:
    said = [f"{name}: {bot.pipecat.removed['names'][name]}" for name in names if name in bot.pipecat.removed["names"]]
    if said:
        return said[0].partition(": ")[2] if len(names) == 1 else "; ".join(said)
    parts = [f"{name} is in {homes[0]}" for name in names if (homes := bot.pipecat.homes(name, origin))]
    return "; ".join(parts) or f"see the changelog of Pipecat {bot.pipecat.version}"


def _moved(module: Module, node: ast.ImportFrom, home: str) -> str:
    start = module.span(node)[0]
    written = re.compile(r"from\s+([\w.]+)").match(module.text, start)
    return module.patch(Edit(written.start(1), written.end(1), home)) if written and home else ""
