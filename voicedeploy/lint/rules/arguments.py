"""Fields of `runner_args` that are read in every call, and that calls by the wanted transport do not have."""

import ast
from collections.abc import Iterator, Sequence

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.flow import TYPES, Flow, Read
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
    whole = block[first : last + 1]
    held = _bound(whole)
    target = ast.unparse(whole[-1].targets[0]) if isinstance(whole[-1], ast.Assign) else ""
    if not _may_move(read, whole, held, target, block[last + 1 :]):
        return ""
    fields = [r.attribute.attr for r in flow.reads if r.statement in held and r.module is module]
    newline, edits = module.newline, []
    cls, edit = imported(module, TYPES, _owner(flow, fields))
    edits += [edit] if edit else []
    create, edit = imported(module, *CREATE.rpartition(".")[::2])
    edits += [edit] if edit else []
    made, name = maker(bot, module, function)
    edits.append(made)
    start, end = module.line_start(whole[0].lineno), module.line_start((whole[-1].end_lineno or 0) + 1)
    free, bound, since = "", "", start
    for statement in whole:
        until = module.line_start((statement.end_lineno or 0) + 1)
        free, bound = (
            (free, bound + module.text[since:until]) if statement in held else (free + module.text[since:until], bound)
        )
        since = until
    indent = module.text[start : module.span(whole[0])[0]]
    step = "\t" if "\t" in indent else "    "
    moved = "".join(step + line if line.strip() else line for line in bound.lstrip("\r\n").splitlines(keepends=True))
    other = f'{target} = await {create}({read.arguments}, {{"{bot.transport.value}": {name}}})'
    text = (
        f"{free}{indent}if isinstance({read.arguments}, {cls}):{newline}{moved.rstrip()}{newline}"
        f"{indent}else:{newline}{indent}{step}{other}{newline}"
    )
    return module.patch(*edits, Edit(start, end, text))


def _bound(whole: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    """The statements that need what was read; all of them where it is more than a name for it."""
    held, names = [whole[0]], _stored(whole[0])
    for statement in whole[1:]:
        if statement is whole[-1] or names & {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}:
            held.append(statement)
            names |= _stored(statement)
    plain = (ast.Assign, ast.AnnAssign)
    named = all(isinstance(s, plain) and isinstance(s.value, ast.Attribute | ast.Name) for s in held[:-1])
    return held if named else whole


def _stored(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


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
    called = [bot.name(read.module, n.func) for n in ast.walk(statement.value) if isinstance(n, ast.Call)]
    connects = [name for name in called if name.startswith("pipecat.transports.") and name.endswith("Transport")]
    return len(statement.targets) == 1 and bool(connects)


def _may_move(
    read: Read, whole: Sequence[ast.stmt], held: Sequence[ast.stmt], target: str, after: Sequence[ast.stmt]
) -> bool:
    """Whether the statements can be indented, and nothing else that they assign is used behind them."""
    module = read.module
    simple = (ast.Assign, ast.AnnAssign, ast.Expr)
    if not all(isinstance(stmt, simple) for stmt in whole):
        return False
    for stmt in whole:
        start, end = module.span(stmt)
        line = module.text.rfind("\n", 0, start) + 1
        rest = module.text[end : module.line_start((stmt.end_lineno or 0) + 1)].partition("#")[0]
        if module.text[line:start].strip() or rest.strip():
            return False
        for node in ast.walk(stmt):
            texts = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
            if texts and getattr(node, "lineno", 0) != getattr(node, "end_lineno", 0):
                return False
    assigned = {name for stmt in held for name in _stored(stmt)}
    used = {n.id for stmt in after for n in ast.walk(stmt) if isinstance(n, ast.Name)}
    return not ((assigned - {target}) & used)
