"""A bot as its files tell: what of Pipecat they make, and with what."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from packaging.version import Version

from voicedeploy.lint.module import Module
from voicedeploy.lint.pipecat import Old, Pipecat
from voicedeploy.lint.sources import Sources
from voicedeploy.network import Transport


@dataclass(frozen=True)
class Given:
    """A keyword of a call, or an entry of a dictionary: `at` is where it stands."""

    name: str
    value: ast.expr
    module: Module
    at: ast.expr | ast.keyword


@dataclass(frozen=True)
class Entries:
    """`complete`: there is nothing beside what was found."""

    found: dict[str, Given] = field(default_factory=dict)
    complete: bool = True

    def and_then(self, other: "Entries") -> "Entries":
        return Entries(self.found | other.found, self.complete and other.complete)


@dataclass(frozen=True)
class Made:
    """A call that makes an object of one of Pipecat's classes. `derived`: of a class of the project that is one."""

    cls: str
    module: Module
    call: ast.Call
    given: Entries
    derived: ast.ClassDef | None = None

    @property
    def short(self) -> str:
        return self.cls.rpartition(".")[2]


class Bot(Sources):
    """`version` is the Pipecat that the project asks for, None where it does not say; `pipecat` is the one we know."""

    def __init__(self, root: Path, entry: str, transport: Transport, pipecat: Pipecat, version: Version | None) -> None:
        super().__init__(root, entry, pipecat)
        self.transport, self.version = transport, version

    # --- what the project's Pipecat has -------------------------------------------------------------

    @property
    def release(self) -> Version:
        """The project's, or ours where it does not say."""
        return self.version or self.pipecat.version

    @property
    def knows_all(self) -> bool:
        """Whether the table is that of the project's Pipecat: another minor release may have more, or other things."""
        return self.release.release[:2] == self.pipecat.version.release[:2]

    @property
    def writes_for_release(self) -> bool:
        """Whether patches may name modules of the Pipecat that we know."""
        return Version("1.0") <= self.release < Version("2")

    def is_gone(self, module: str, name: str) -> bool:
        """Whether what the table's module does not have is surely missing in the project's Pipecat too."""
        return self.knows_all or name in self.pipecat.removed["names"] or self.pipecat.is_empty_package(module)

    def has_since(self, old: Old) -> bool:
        return old.since <= self.release

    # --- values -------------------------------------------------------------------------------------

    def constant(self, module: Module, expression: ast.expr | None) -> object:
        """The literal that an expression is or names; None where it cannot be told."""
        for _ in range(5):
            if isinstance(expression, ast.Constant):
                return expression.value
            there = self.ours(module, expression)
            if there is None or not there[1]:
                return None
            module, expression = there[0], there[0].value(there[1])
        return None

    def entries(self, module: Module, expression: ast.expr | None, depth: int = 0) -> Entries:
        """What a dictionary holds that is written down, named, merged or returned by a function of the project."""
        unknown = Entries(complete=False)
        if depth > 8:
            return unknown
        match expression:
            case ast.Dict(keys=keys, values=values):
                made = Entries()
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        made = made.and_then(self.entries(module, value, depth + 1))
                    elif isinstance(name := self.constant(module, key), str):
                        made = made.and_then(Entries({name: Given(name, value, module, key)}))
                    else:
                        made = made.and_then(unknown)
                return made
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self.entries(module, left, depth + 1).and_then(self.entries(module, right, depth + 1))
            case ast.Call(func=ast.Name(id="dict"), args=args) if "dict" not in module.values:
                made = Entries()
                for arg in args:
                    made = made.and_then(self.entries(module, arg, depth + 1))
                return made.and_then(self.keywords(module, expression, depth + 1))
            case ast.Call(func=ast.Attribute(value=inner, attr="copy"), args=[]):
                return self.entries(module, inner, depth + 1)
            case ast.Call(func=function):
                results = self.results(module, function)
                return self.entries(*results[0], depth + 1) if len(results) == 1 else unknown
            case ast.Name() | ast.Attribute():
                there = self.ours(module, expression)
                held = there[0].value(there[1]) if there and there[1] else None
                return self.entries(there[0], held, depth + 1) if there and held is not None else unknown
        return unknown

    def keywords(self, module: Module, call: ast.Call, depth: int = 0) -> Entries:
        made = Entries()
        for keyword in call.keywords:
            if keyword.arg is None:
                made = made.and_then(self.entries(module, keyword.value, depth + 1))
            else:
                made = made.and_then(Entries({keyword.arg: Given(keyword.arg, keyword.value, module, keyword)}))
        return made

    def results(self, module: Module, function: ast.expr | None) -> list[tuple[Module, ast.expr]]:
        """What a lambda or a function of the project returns."""
        if isinstance(function, ast.Lambda):
            return [(module, function.body)]
        there = self.ours(module, function)
        if there and isinstance(value := there[0].value(there[1]), ast.Lambda):
            return [(there[0], value.body)]
        found = self.definition(module, function)
        if found is None or not isinstance(found[1], ast.FunctionDef | ast.AsyncFunctionDef):
            return []
        owner, node = found
        returns = [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
        return [(owner, self._local(owner, node, r.value)) for r in returns if r.value is not None]

    @staticmethod
    def _local(module: Module, function: ast.AST, value: ast.expr) -> ast.expr:
        """`params` in `params = TransportParams(…); return params` is the call."""
        if isinstance(value, ast.Name):
            inside = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == [value.id]
            ]
            if len(inside) == 1:
                return inside[0]
        return value

    # --- objects ------------------------------------------------------------------------------------

    @cached_property
    def made(self) -> list[Made]:
        """Every object of a class of Pipecat that the project makes, in the order of its files."""
        return [one for module in self.modules.values() for one in self._made(module)]

    def _made(self, module: Module) -> Iterator[Made]:
        for node in module.nodes:
            if isinstance(node, ast.Call) and (one := self.object(module, node)):
                yield one

    def object(self, module: Module, call: ast.expr) -> Made | None:
        """What a call makes, where that is an object of Pipecat's."""
        if not isinstance(call, ast.Call):
            return None
        function, keywords = call.func, self.keywords(module, call)
        if self.name(module, function) == "functools.partial" and call.args:
            function = call.args[0]
        if isinstance(function, ast.Attribute) and ast.unparse(function) == "super().__init__":
            owner = next((up for up in module.above(call) if isinstance(up, ast.ClassDef)), None)
            base = self.base(module, owner) if owner else ""
            return Made(base, module, call, keywords, owner) if base.startswith("pipecat.") else None
        found = self.definition(module, function)
        if found and isinstance(found[1], ast.ClassDef):
            base = self.base(found[0], found[1])
            return Made(base, module, call, keywords, found[1]) if base.startswith("pipecat.") else None
        cls = self.name(module, function)
        return Made(cls, module, call, keywords) if cls.startswith("pipecat.") else None

    def base(self, module: Module, cls: ast.ClassDef, depth: int = 0) -> str:
        """The class of Pipecat that a class of the project is derived from."""
        for base in cls.bases:
            if (name := self.name(module, base)).startswith("pipecat."):
                return name
            found = self.definition(module, base)
            if found and isinstance(found[1], ast.ClassDef) and depth < 8:
                return self.base(found[0], found[1], depth + 1)
        return ""
