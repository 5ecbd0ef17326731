"""What a file does to its process when it is imported."""

import ast
from collections.abc import Iterator

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.module import Module
from voicedeploy.lint.patches import Edit

_RUNNER = "pipecat.runner.run"


def surroundings(bot: Bot) -> Iterator[Fault]:
    for module in bot.modules.values():
        for node in module.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom) and _imports_runner(node):
                if _in_function(module, node) or _elsewhere(module, node):
                    continue
                yield Fault(
                    "VD168", "warning", module.path, node.lineno,
                    f"importing `{_RUNNER}` lets a .env file win over the environment, and sets ENV=local",
                    'import it under `if __name__ == "__main__":`',
                )  # fmt: skip
            elif isinstance(node, ast.Call) and bot.name(module, node.func) in (
                "dotenv.load_dotenv",
                "dotenv.main.load_dotenv",
            ):
                yield from _dotenv(module, node)


def _imports_runner(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name == _RUNNER for alias in node.names)
    whole = {f"{node.module}.{alias.name}" for alias in node.names}
    return not node.level and (node.module == _RUNNER or _RUNNER in whole)


def _in_function(module: Module, node: ast.AST) -> bool:
    return any(isinstance(up, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) for up in module.above(node))


def _elsewhere(module: Module, node: ast.AST) -> bool:
    """Only when the file is run by itself, or for type checkers."""
    tests = [ast.unparse(up.test) for up in module.above(node) if isinstance(up, ast.If)]
    return any("__name__" in test or "TYPE_CHECKING" in test for test in tests)


def _dotenv(module: Module, node: ast.Call) -> Iterator[Fault]:
    for keyword in node.keywords:
        if keyword.arg == "override" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
            if _elsewhere(module, node):
                continue
            start, end = module.span(keyword.value)
            yield Fault(
                "VD168", "warning", module.path, node.lineno,
                "load_dotenv(override=True): a .env file that is found anywhere above wins over the environment",
                "load_dotenv(override=False)", module.patch(Edit(start, end, "False")),
            )  # fmt: skip
