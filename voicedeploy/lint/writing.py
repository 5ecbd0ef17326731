"""Edits of source text that keep everything else as its author wrote it."""

import ast
import re

from voicedeploy.lint.bot import Given, Made
from voicedeploy.lint.module import Module
from voicedeploy.lint.patches import Edit


def renamed(given: Given, name: str) -> Edit | None:
    """The keyword, or the key of a dictionary, under another name."""
    module = given.module
    start, end = module.span(given.at)
    if isinstance(given.at, ast.keyword):
        return Edit(start, start + len(given.name), name)
    text = module.text[start:end]
    quoted = re.fullmatch(r"""(["'])\w+\1""", text)
    return Edit(start, end, f"{quoted[1]}{name}{quoted[1]}") if quoted else None


def without(made: Made, given: Given) -> Edit | None:
    """The call without one of its own keywords."""
    module, call = made.module, made.call
    if not isinstance(given.at, ast.keyword) or given.at not in call.keywords:
        return None
    text = module.text
    start, end = module.span(given.at)
    given_all: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    spans = sorted(module.span(node) for node in given_all)
    position = spans.index((start, end))
    line = text.rfind("\n", 0, start) + 1
    if not text[line:start].strip() and (rest := re.compile(r",?[ \t]*(#[^\n]*)?\r?\n").match(text, end)):
        return Edit(line, rest.end(), "")
    if position + 1 < len(spans):
        return Edit(start, spans[position + 1][0], "")
    if position:
        between = text[spans[position - 1][1] : start]
        return None if "#" in between else Edit(spans[position - 1][1], end, "")
    comma = re.compile(r"\s*,").match(text, end)
    return Edit(start, comma.end() if comma else end, "")


def with_keywords(module: Module, call: ast.Call, added: str) -> Edit | None:
    """The call with more keywords, on lines of their own where the others are."""
    text = module.text
    nodes: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    close = module.span(call)[1] - 1
    if not nodes:
        open_ = text.find("(", module.span(call.func)[1])
        return Edit(open_ + 1, close, added) if text[open_ + 1 : close].strip() == "" else None
    last = max(nodes, key=lambda node: module.span(node))
    start, end = module.span(last)
    rest = text[end:close]
    if re.sub(r"#[^\n]*", "", rest).strip() not in ("", ","):
        return None
    line = text.rfind("\n", 0, start) + 1
    comma = re.match(r"\s*,", rest)
    if comma is None:
        if "\n" in rest and not text[line:start].strip():
            return Edit(end, end, f",{module.newline}{text[line:start]}{added},")
        return Edit(end, end, f", {added}")
    at = end + comma.end()
    if "\n" in rest[comma.end() :] and not text[line:start].strip():
        return Edit(at, at, f"{module.newline}{text[line:start]}{added},")
    return Edit(at, at, f" {added}")


def replaced(module: Module, node: ast.expr, text: str) -> Edit:
    return Edit(*module.span(node), text)


def imported(module: Module, origin: str, name: str) -> tuple[str, Edit | None]:
    """What `origin.name` is called in the file, and the edit that imports it where it is not."""
    for shown, dotted in module.names.items():
        if dotted == f"{origin}.{name}":
            return shown, None
    return name, Edit(*(2 * (after_imports(module),)), f"from {origin} import {name}{module.newline}")


def after_imports(module: Module) -> int:
    """Where a new import goes: after the last one at the top of the file, else after its docstring."""
    last = 0
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            last = node.end_lineno or node.lineno
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            if last:
                break
        elif not last:
            last = node.end_lineno or node.lineno
    if not last and module.tree.body:
        return module.line_start(module.tree.body[0].lineno)
    return module.line_start(last + 1)
