"""Fields of `runner_args` that are read in every call, and that calls by the wanted transport do not have."""

import ast
from collections.abc import Iterator, Sequence

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.flow import TYPES, Flow, Read, transport_calls
from voicedeploy.lint.module import Module
from voicedeploy.lint.patches import Edit
from voicedeploy.lint.rules.transports import CREATE, maker
from voicedeploy.lint.writing import imported


def arguments(bot: Bot, flow: Flow) -> Iterator[Fault]:
    seen: set[ast.stmt] = set()
    for read in flow.reads:
        if read.statement in seen:
            continue
        seen.add(read.statement)
        cls = _owner(flow, [r.attribute.attr for r in flow.reads if r.statement is read.statement])
        yield Fault(
            "VD210", "error", read.module.path, read.attribute.lineno,
            f"`{read.arguments}.{read.attribute.attr}` is read in every call: "
            f"one by `{bot.transport.value}` has none, and fails",
            f"read it where isinstance({read.arguments}, {cls}), or let create_transport do it",
            _guarded(bot, flow, read),
        )  # fmt: skip


def _owner(flow: Flow, fields: Sequence[str]) -> str:
    """The class that has the fields."""
    found = next((cls for cls, has in flow.fields.items() if set(fields) <= has), "")
    found = found or next(cls for cls, has in flow.fields.items() if fields[0] in has)
    return found.rpartition(".")[2]


def _guarded(bot: Bot, flow: Flow, read: Read) -> str:
    """Up to the statement that makes the transport, under `isinstance`; `create_transport` for all others."""
    module, function = read.module, read.function
    block = _block(module, read.statement)
    if not bot.writes_for_release or block is None or not isinstance(function, ast.AsyncFunctionDef):
        return ""
    first = block.index(read.statement)
    last = next((n for n in range(first, len(block)) if _makes_transport(bot, read, block[n])), None)
    if last is None:
        return ""
    held = block[first : last + 1]
    target = ast.unparse(held[-1].targets[0]) if isinstance(held[-1], ast.Assign) else ""
    if not _may_move(read, held, target, block[last + 1 :]):
        return ""
    fields = [r.attribute.attr for r in flow.reads if r.statement in held and r.module is module]
    newline, edits = module.newline, []
    cls, edit = imported(module, TYPES, _owner(flow, fields))
    edits += [edit] if edit else []
    create, edit = imported(module, *CREATE.rpartition(".")[::2])
    edits += [edit] if edit else []
    made, name = maker(bot, module, function)
    edits.append(made)
    start, end = module.line_start(held[0].lineno), module.line_start((held[-1].end_lineno or 0) + 1)
    lines = module.text[start:end].splitlines(keepends=True)
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    step = "\t" if "\t" in indent else "    "
    moved = "".join(step + line if line.strip() else line for line in lines)
    if not moved.endswith("\n"):
        moved += newline
    other = f'{target} = await {create}({read.arguments}, {{"{bot.transport.value}": {name}}})'
    text = (
        f"{indent}if isinstance({read.arguments}, {cls}):{newline}{moved}"
        f"{indent}else:{newline}{indent}{step}{other}{newline}"
    )
    return module.patch(*edits, Edit(start, end, text))


def _block(module: Module, statement: ast.stmt) -> list[ast.stmt] | None:
    parent = module.parents.get(statement)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            return block
    return None


def _makes_transport(bot: Bot, read: Read, statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return False
    return len(statement.targets) == 1 and any(transport_calls(bot, list(ast.walk(statement.value)), read.module))


def _may_move(read: Read, held: Sequence[ast.stmt], target: str, after: Sequence[ast.stmt]) -> bool:
    """Whether the statements can be indented, and nothing else that they assign is used behind them."""
    module = read.module
    simple = (ast.Assign, ast.AnnAssign, ast.Expr)
    if not all(isinstance(stmt, simple) for stmt in held):
        return False
    for stmt in held:
        start, end = module.span(stmt)
        line = module.text.rfind("\n", 0, start) + 1
        rest = module.text[end : module.line_start((stmt.end_lineno or 0) + 1)].partition("#")[0]
        if module.text[line:start].strip() or rest.strip():
            return False
        for node in ast.walk(stmt):
            texts = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
            if texts and getattr(node, "lineno", 0) != getattr(node, "end_lineno", 0):
                return False
    assigned = {
        n.id for stmt in held for n in ast.walk(stmt) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    used = {n.id for stmt in after for n in ast.walk(stmt) if isinstance(n, ast.Name)}
    return not ((assigned - {target}) & used)
