"""One Python file of the project: its tree, its text, and what its names stand for. Nothing is imported or run."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from voicedeploy.lint.patches import Edit, diff, edited

_CHANGES = {"append", "clear", "extend", "pop", "popitem", "setdefault", "update"}


@dataclass(eq=False)
class Module:
    """`names` are imports from outside the project, `ours` those from a file of it: its path, and the name there.

    `values` has what is assigned to each name, anywhere in the file; None for what cannot be read from the file.
    """

    path: str
    text: str
    tree: ast.Module
    names: dict[str, str] = field(default_factory=dict)
    ours: dict[str, tuple[str, str]] = field(default_factory=dict)
    values: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    nodes: list[ast.AST] = field(default_factory=list)
    _definitions: dict[str, ast.stmt] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = list(ast.walk(self.tree))
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            for name, value in _assigned(node):
                self.values.setdefault(name, []).append(value)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        defined = [n for n in self.nodes if isinstance(n, kinds) and not isinstance(self.parents[n], ast.ClassDef)]
        for node in sorted(defined, key=lambda n: self.parents[n] is self.tree):
            self._definitions[node.name] = node
        self._starts = [0, *(m.end() for m in re.finditer(r"\r\n|\n|\r", self.text))]

    # --- the tree -----------------------------------------------------------------------------------

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        while (up := self.parents.get(node)) is not None:
            yield up
            node = up

    def value(self, name: str) -> ast.expr | None:
        """What a name stands for, if it is assigned once and not changed."""
        values = self.values.get(name, [])
        return values[0] if len(values) == 1 else None

    def definition(self, name: str) -> ast.stmt | None:
        """The function or class that has this name; one of the file's top level before one inside a function."""
        return self._definitions.get(name)

    # --- the text -----------------------------------------------------------------------------------

    @property
    def patchable(self) -> bool:
        return bool(self.text) and not self.text.startswith("\ufeff")

    def place(self, line: int, column: int) -> int:
        """The index in the text of a place in the tree, whose columns count bytes of UTF-8."""
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return start + len(self.text[start:end].encode("utf-8")[:column].decode("utf-8", "ignore"))

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        last = node.end_lineno or node.lineno
        return self.place(node.lineno, node.col_offset), self.place(last, node.end_col_offset or node.col_offset)

    def source(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, line: int) -> int:
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    @property
    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def patch(self, *edits: Edit) -> str:
        """A diff, or "" where the result would be no Python."""
        if not self.patchable or not edits:
            return ""
        try:
            compile(edited(self.text, edits), self.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return ""
        return diff(self.path, self.text, edits)


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """What a node gives to names; None also where it changes what a name stands for."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
                else:
                    yield from ((name, None) for name in _stored(target))
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            yield name, value
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.AugAssign(target=target):
            yield from ((name, None) for name in _stored(target))
        case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
            yield from ((name, None) for name in _stored(target))
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from ((name, None) for name in _stored(target))
        case ast.arg(arg=name):
            yield name, None
        case ast.Delete(targets=targets):
            yield from ((name, None) for target in targets for name in _stored(target))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if attr in _CHANGES:
            yield name, None
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.ExceptHandler(name=str(name)):
            yield name, None


def _stored(target: ast.AST) -> Iterator[str]:
    """The names in a target, also that of `x` in `x["key"] = …`."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id
