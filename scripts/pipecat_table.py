"""What `voicedeploy.lint` knows of a release of Pipecat: its modules, names, parameters and deprecations.

Read from the source as a syntax tree, so that it needs none of Pipecat's extras. Called by scripts/pipecat-table.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "voicedeploy" / "data"
LEFT_OUT = ("pipecat.cli", "pipecat.tests")


@dataclass
class Module:
    name: str
    tree: ast.Module
    package: bool
    names: dict[str, str] = field(default_factory=dict)  # name → where it really is, "" for what is not Pipecat's
    open: bool = False


class Source:
    """All modules of one Pipecat, with the names of each resolved to where they are defined."""

    def __init__(self, folder: Path) -> None:
        self.modules = {module.name: module for module in sorted(read(folder), key=lambda m: m.name)}
        self.classes: dict[str, tuple[Module, ast.ClassDef]] = {}
        for module in self.modules.values():
            self._names(module, module.tree.body)
        for module in self.modules.values():
            self._stars(module)
        for module in self.modules.values():
            self._classes(module, module.name, module.tree.body)

    def _names(self, module: Module, body: list[ast.stmt]) -> None:
        for node in body:
            match node:
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    if node.name == "__getattr__":
                        answered = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and named(n.value)}
                        module.names |= dict.fromkeys(answered, "")
                        module.open = not answered
                    module.names[node.name] = f"{module.name}.{node.name}"
                case ast.Assign(targets=targets):
                    for name in (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)):
                        module.names[name] = f"{module.name}.{name}"
                case ast.AnnAssign(target=ast.Name(id=name)):
                    module.names[name] = f"{module.name}.{name}"
                case ast.ImportFrom():
                    origin = absolute(module, node)
                    for alias in node.names:
                        ours = origin.split(".")[0] == "pipecat"
                        module.names[alias.asname or alias.name] = f"{origin}.{alias.name}" if ours else ""
                        if origin in ("pydantic", "pydantic.main"):
                            module.names[alias.asname or alias.name] = f"{origin}.{alias.name}"
                case ast.Import():
                    module.names |= {(a.asname or a.name).split(".")[0]: "" for a in node.names}
                case ast.If(test=test):
                    if "TYPE_CHECKING" not in ast.unparse(test) or isinstance(test, ast.UnaryOp):
                        self._names(module, node.body)
                    self._names(module, node.orelse)
                case ast.With():
                    self._names(module, node.body)
                case ast.Try():
                    handlers = [s for handler in node.handlers for s in handler.body]
                    self._names(module, [*node.body, *handlers, *node.orelse])

    def _stars(self, module: Module) -> None:
        for node in module.tree.body:
            if isinstance(node, ast.ImportFrom) and [a.name for a in node.names] == ["*"]:
                module.names.pop("*", None)
                if origin := self.modules.get(absolute(module, node)):
                    self._stars(origin)
                    module.names |= {n: q for n, q in origin.names.items() if not n.startswith("_")}

    def _classes(self, module: Module, prefix: str, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                self.classes[f"{prefix}.{node.name}"] = (module, node)
                self._classes(module, f"{prefix}.{node.name}", node.body)
            elif isinstance(node, ast.If | ast.Try | ast.With):
                self._classes(module, prefix, node.body)

    def where(self, name: str) -> str:
        """The place of definition of a dotted name that may be imported there."""
        for _ in range(10):
            owner, _, last = name.rpartition(".")
            if name in self.classes or owner not in self.modules:
                return name
            there = self.modules[owner].names.get(last, "")
            if not there or there == name:
                return name
            name = there
        return name

    def resolve(self, module: Module, expression: ast.expr, scope: str = "") -> str:
        if isinstance(expression, ast.Subscript):
            expression = expression.value
        first, *rest = ast.unparse(expression).split(".")
        if scope and f"{scope}.{first}" in self.classes:
            return ".".join([scope, first, *rest])
        base = module.names.get(first, "")
        return ".".join([self.where(base), *rest]) if base else ""

    def line(self, name: str, seen: tuple[str, ...] = ()) -> list[str]:
        """The class and what it inherits from, nearest first."""
        if name not in self.classes or name in seen:
            return [name]
        module, node = self.classes[name]
        found = [name]
        for base in node.bases:
            scope = name.rpartition(".")[0]
            origin = self.resolve(module, base, scope)
            origin = self.member(origin)
            found += [n for n in self.line(origin, (*seen, name)) if n not in found]
        return found

    def member(self, name: str) -> str:
        """`Service.Settings` is the class that the attribute names, also where it is inherited."""
        owner, _, last = name.rpartition(".")
        if name in self.classes or self.where(owner) not in self.classes:
            return self.where(name)
        for ancestor in self.line(self.where(owner)):
            if f"{ancestor}.{last}" in self.classes:
                return f"{ancestor}.{last}"
            if ancestor in self.classes:
                module, node = self.classes[ancestor]
                for stmt in node.body:
                    if isinstance(stmt, ast.Assign) and [ast.unparse(t) for t in stmt.targets] == [last]:
                        return self.member(self.resolve(module, stmt.value, ancestor))
        return name


def named(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


def read(folder: Path) -> Iterator[Module]:
    for path in folder.rglob("*.py"):
        parts = ["pipecat", *path.relative_to(folder).with_suffix("").parts]
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        if not name.startswith(LEFT_OUT):
            yield Module(name, ast.parse(path.read_bytes()), package)


def absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + module.package]
    return ".".join([*base, *([node.module] if node.module else [])])


def plain(text: str) -> str:
    """The first sentence, without Sphinx's roles."""
    text = re.sub(r":mod:`~?([\w.]+)`", r"`\1`", " ".join(text.split()))
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?([\w()]+)`", r"`\1`", text).replace("``", "`")
    text = re.sub(r" Will be removed in [\d.]+\d\.?", "", text)
    return re.split(r"(?<=[\w`)]{2})\. (?=[A-Z])", text, maxsplit=1)[0].strip().removesuffix(".")


def directives(docstring: str | None) -> dict[str, dict[str, str]]:
    """Each `.. deprecated::` by the parameter it stands under; "" is the thing itself."""
    found: dict[str, dict[str, str]] = {}
    lines = (docstring or "").splitlines()
    entry, section, entry_indent = "", "", 0
    for number, line in enumerate(lines):
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if bare in ("Args:", "Parameters:", "Attributes:"):
            section, entry = bare, ""
        elif bare.endswith(":") and re.fullmatch(r"[A-Z][A-Za-z ]*:{1,2}", bare):
            section, entry = "", ""
        elif match := re.match(r"\.\. deprecated:: ([\d.]+)", bare):
            body = []
            for following in lines[number + 1 :]:
                if following.strip() and len(following) - len(following.lstrip()) <= indent:
                    break
                if not following.strip() and body:
                    break
                body.append(following)
            owner = entry if section and indent > entry_indent else ""
            if section and indent <= entry_indent and entry:
                owner, section = "", ""
            found[owner] = {"since": match[1], "instead": plain(" ".join(body))}
        elif (
            section
            and (not entry or indent <= entry_indent)
            and (match := re.match(r"\*{0,2}(\w+)(?: \([^)]*\))?:", bare))
        ):
            entry, entry_indent = match[1], indent
    return found


def marked(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str] | None:
    """What `@deprecated("…")` says."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("deprecated"):
            text = ast.literal_eval(decorator.args[0])
            match = re.search(r"since ([\d.]+\d) and will be removed in [\d.]+\d\. ?(.*)", text, re.S)
            if match:
                return {"since": match[1], "instead": plain(match[2])}
    return None


def decorators(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in node.decorator_list}


def fields(node: ast.ClassDef) -> set[str]:
    """Names that the class can be made with, of its own body."""
    found = set()
    for stmt in node.body:
        if not isinstance(stmt, ast.AnnAssign) or not isinstance(stmt.target, ast.Name):
            continue
        if stmt.target.id.startswith("_") or "ClassVar" in ast.unparse(stmt.annotation):
            continue
        options = {k.arg: k.value for k in stmt.value.keywords} if isinstance(stmt.value, ast.Call) else {}
        if "init" in options and ast.unparse(options["init"]) == "False":
            continue
        found.add(stmt.target.id)
        found |= {ast.literal_eval(v) for k, v in options.items() if k in ("alias", "validation_alias") and text(v)}
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("renamed_init_field"):
            found.add(ast.literal_eval(decorator.args[0]))
    return found


def text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def opaque(node: ast.ClassDef) -> bool:
    """Whether the class may take names that are not its fields."""
    body = ast.unparse(node)
    taken_over = "model_validator" in body and "mode='before'" in body
    return taken_over or "AliasChoices" in body or "alias_generator" in body


def extra(node: ast.ClassDef) -> str:
    for stmt in ast.walk(node):
        if isinstance(stmt, ast.keyword) and stmt.arg == "extra" and isinstance(stmt.value, ast.Constant):
            return str(stmt.value.value)
        if isinstance(stmt, ast.Assign) and ast.unparse(stmt.targets[0]) == "extra":
            return str(ast.literal_eval(stmt.value))
    return ""


def init(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"), None)


def parameters(source: Source, name: str) -> dict[str, Any] | None:
    """What a class accepts, what becomes of anything else, and what is deprecated."""
    line = [source.classes[n] for n in source.line(name) if n in source.classes]
    pydantic = any(n.startswith("pydantic.") for n in source.line(name))
    data = any("dataclass" in decorators(node) for _, node in line)
    frame = "pipecat.frames.frames.Frame" in source.line(name)
    made: dict[str, Any] = {}
    old: dict[str, dict[str, str]] = {}
    for _, node in reversed(line):
        old |= {k: v for k, v in directives(ast.get_docstring(node)).items() if k}
        if function := init(node):
            accepted = {a.arg for a in [*function.args.args, *function.args.kwonlyargs]}
            old |= {k: v for k, v in directives(ast.get_docstring(function)).items() if k in accepted}
    if (pydantic or data) and not frame and not any(init(node) or opaque(node) for _, node in line):
        kept = next((e for _, node in line if (e := extra(node))), "")
        if kept != "allow":
            made["fields"] = sorted({f for _, node in line for f in fields(node)})
            made["unknown"] = "dropped" if pydantic and kept != "forbid" else "refused"
    if not frame and (function := next((f for _, node in line if (f := init(node))), None)) and not function.args.kwarg:
        made["fields"] = sorted(a.arg for a in [*function.args.args[1:], *function.args.kwonlyargs])
        made["unknown"] = "refused"
    if old:
        made["deprecated"] = dict(sorted(old.items()))
    return made or None


def hearing(source: Source, name: str) -> dict[str, Any] | None:
    """How a speech-to-text class says when its transcript is complete."""
    line = source.line(name)
    if "pipecat.services.stt_service.STTService" not in line[1:]:
        return None
    p99: float | None = None
    final = turns = False
    for ancestor in reversed(line[: line.index("pipecat.services.stt_service.STTService")]):
        if ancestor not in source.classes:
            continue
        module, node = source.classes[ancestor]
        body = ast.unparse(node)
        final |= ancestor.endswith(".SegmentedSTTService") or "confirm_finalize()" in body
        final |= "finalized=" in body or ".finalized = " in body
        turns |= bool(re.search(r"user_turn_strategies|\b(?:Proposed)?UserStartedSpeakingFrame", body))
        for stmt in node.body:
            if isinstance(stmt, ast.FunctionDef) and stmt.name == "supports_ttfs":
                turns |= "return False" in ast.unparse(stmt)
        function = init(node)
        if function:
            for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
                if argument.arg == "ttfs_p99_latency" and default is not None:
                    p99 = seconds(source, module, default)
            for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
                for keyword in call.keywords:
                    if keyword.arg == "ttfs_p99_latency" and isinstance(keyword.value, ast.Constant):
                        p99 = seconds(source, module, keyword.value)
    return {"p99": p99, "final": final, "turns": turns}


def seconds(source: Source, module: Module, node: ast.expr) -> float | None:
    """The constant's value; None for the fallback that stands for "not measured"."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, float | int) else None
    where = source.resolve(module, node)
    owner, _, name = where.rpartition(".")
    if name == "DEFAULT_TTFS_P99" or owner not in source.modules:
        return None
    for stmt in source.modules[owner].tree.body:
        if isinstance(stmt, ast.AnnAssign) and ast.unparse(stmt.target) == name and stmt.value is not None:
            return seconds(source, source.modules[owner], stmt.value)
    return None


def table(folder: Path, version: str) -> dict[str, Any]:
    source = Source(folder)
    deprecated: dict[str, dict[str, str]] = {}
    methods: dict[str, dict[str, str]] = {}
    current: set[str] = set()
    for module in source.modules.values():
        own = directives(ast.get_docstring(module.tree)).get("")
        if own and re.match("Moved|Import", own["instead"]):
            deprecated[module.name] = own
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := marked(node)):
                deprecated[f"{module.name}.{node.name}"] = said
    for name, (_, node) in source.classes.items():
        if said := marked(node):
            deprecated[name] = said
        for stmt in node.body:
            if isinstance(stmt, ast.FunctionDef | ast.AsyncFunctionDef):
                if said := marked(stmt):
                    methods[stmt.name] = said
                else:
                    current.add(stmt.name)
            elif isinstance(stmt, ast.AnnAssign):
                current.add(ast.unparse(stmt.target))
    classes = {n: made for n in sorted(source.classes) if (made := parameters(source, n))}
    aliases: dict[str, str] = {}
    for name in source.classes:
        for ancestor in source.line(name):
            if ancestor not in source.classes:
                continue
            for stmt in source.classes[ancestor][1].body:
                inner = stmt.name if isinstance(stmt, ast.ClassDef) else ""
                if isinstance(stmt, ast.Assign) and isinstance(stmt.targets[0], ast.Name):
                    inner = stmt.targets[0].id
                whole = f"{name}.{inner}"
                if inner and whole not in source.classes and whole not in aliases:
                    there = source.member(whole)
                    if there in classes:
                        aliases[whole] = there
    known = {*classes, *deprecated, *aliases, *source.classes}
    return {
        "package": "pipecat-ai",
        "version": version,
        "as_of": date.today().isoformat(),
        "modules": {
            m.name: {
                "names": " ".join(sorted(n for n in m.names if not n.startswith("_"))),
                "from": {n: where for n, q in sorted(m.names.items())
                         if q != f"{m.name}.{n}" and (where := source.where(q)) in known},
                "open": m.open,
            }
            for m in source.modules.values()
        },
        "deprecated": dict(sorted(deprecated.items())),
        "methods": {n: said for n, said in sorted(methods.items()) if n not in current},
        "classes": classes,
        "aliases": dict(sorted(aliases.items())),
        "bases": {n: line for n in sorted(source.classes) if (line := [a for a in source.line(n)[1:] if a in classes])},
        "stt": {n: heard for n in sorted(source.classes) if (heard := hearing(source, n))},
    }  # fmt: skip


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def written(made: dict[str, Any]) -> str:
    """As JSON with a line for each entry, so that a comparison of two releases can be read."""
    parts = []
    for name, value in made.items():
        if isinstance(value, dict):
            lines = [f"{json.dumps(k)}:{compact(v)}" for k, v in value.items()]
            parts.append(f"{json.dumps(name)}:{{\n" + ",\n".join(lines) + "\n}")
        else:
            parts.append(f"{json.dumps(name)}:{json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    installed = distribution("pipecat-ai")
    folder = Path(str(installed.locate_file("pipecat")))
    new = table(folder, installed.version)
    path = DATA / f"pipecat-{'.'.join(installed.version.split('.')[:2])}.json"
    old = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if {**old, "as_of": ""} == {**new, "as_of": ""}:
        return 0
    if "--check" in sys.argv:
        print(f"error: voicedeploy/data/{path.name} is out of date\n\nhint: scripts/pipecat-table")  # noqa: T201
        return 1
    path.write_text(written(new), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
