"""What still works and is deprecated: the bot breaks with Pipecat 2."""

import ast
import re
from collections.abc import Iterator

from packaging.version import Version

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.module import Module
from voicedeploy.lint.pipecat import Old

_RUNNERS = {"pipecat.pipeline.runner.PipelineRunner", "pipecat.workers.runner.WorkerRunner"}
# Methods whose names say enough: `set_model` may be anybody's.
_TELLING = {"chronological_events", "push_interruption_task_frame_and_wait", "pipeline_task"}


def deprecated(bot: Bot) -> Iterator[Fault]:
    for module in bot.modules.values():
        for node in module.nodes:
            match node:
                case ast.ImportFrom(level=0):
                    yield from _imported(bot, module, node)
                case ast.Attribute():
                    yield from _attribute(bot, module, node)
                case ast.Call():
                    yield from _run(bot, module, node)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    if name in bot.pipecat.removed["hooks"]:
                        said = bot.pipecat.removed["hooks"][name]
                        yield _fault(module, node.lineno, f"the name `{name}` is deprecated", said)
    for made in bot.made:
        for given in made.given.found.values():
            old = bot.pipecat.old_keyword(made.cls, given.name)
            unset = isinstance(given.value, ast.Constant) and not given.value.value
            if old and bot.has_since(old) and not unset:
                yield _fault(
                    given.module, given.at.lineno, _since(f"{made.short}(`{given.name}=`)", old), _to_do(bot, old)
                )


def _imported(bot: Bot, module: Module, node: ast.ImportFrom) -> Iterator[Fault]:
    origin = node.module or ""
    named = False
    for alias in node.names:
        whole = f"{origin}.{alias.name}"
        old = bot.pipecat.old(bot.pipecat.where(whole)) or bot.pipecat.old(whole)
        if old and bot.has_since(old):
            named = True
            yield _fault(module, node.lineno, _since(f"`{alias.name}`", old), _to_do(bot, old))
    old = bot.pipecat.old(origin)
    if old and bot.has_since(old) and not named:
        yield _fault(module, node.lineno, _since(f"`{origin}`", old), _to_do(bot, old))


def _attribute(bot: Bot, module: Module, node: ast.Attribute) -> Iterator[Fault]:
    old = bot.pipecat.old_method(node.attr) if node.attr in _TELLING else None
    if old is None and bot.pipecat.has_module(bot.written(module, node.value)):
        old = bot.pipecat.old(bot.name(module, node))
    if old and bot.has_since(old) and isinstance(node.ctx, ast.Load):
        yield _fault(module, node.lineno, _since(f"`{node.attr}`", old), _to_do(bot, old))


def _run(bot: Bot, module: Module, node: ast.Call) -> Iterator[Fault]:
    """`runner.run(worker)`, where `runner` is one of Pipecat's."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "run" and node.args:
        made = node.func.value
        if isinstance(made, ast.Name):
            made = module.value(made.id) or made
        if isinstance(made, ast.Call) and bot.name(module, made.func) in _RUNNERS and bot.release >= Version("1.3.0"):
            yield _fault(
                module, node.lineno, "`run(worker)` is deprecated since Pipecat 1.3.0",
                "await runner.add_workers(worker), then await runner.run()",
            )  # fmt: skip


def _fault(module: Module, line: int, message: str, fix: str) -> Fault:
    return Fault("VD162", "warning", module.path, line, f"{message}; Pipecat 2 will not have it", fix)


def _since(subject: str, old: Old) -> str:
    return f"{subject} is deprecated since Pipecat {old.since}"


def _to_do(bot: Bot, old: Old) -> str:
    """What the release says, with the place of a name that it gives alone."""
    name = re.fullmatch(r"Use `(\w+)` instead", old.instead)
    homes = bot.pipecat.homes(name[1]) if name else []
    return f"from {homes[0]} import {name[1]}" if name and homes else old.instead
