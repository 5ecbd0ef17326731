"""The entry and the files of the project that it imports, and what the names in them stand for."""

import ast
from pathlib import Path

from voicedeploy.lint.module import Module
from voicedeploy.lint.pipecat import Pipecat

_MOST_MODULES = 300


class Sources:
    """`modules` are the files by their paths, the entry first. Nothing is imported or run."""

    def __init__(self, root: Path, entry: str, pipecat: Pipecat) -> None:
        self.root, self.pipecat = root, pipecat
        self.modules: dict[str, Module] = {}
        self._read(Path(entry).as_posix())

    # --- files --------------------------------------------------------------------------------------

    def _read(self, entry: str) -> None:
        waiting = [entry]
        while waiting and len(self.modules) < _MOST_MODULES:
            path = waiting.pop(0)
            if path in self.modules:
                continue
            try:
                data = (self.root / path).read_bytes()
                tree = ast.parse(data, path)
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            try:
                text = data.decode("utf-8")
            except ValueError:
                text = ""
            module = self.modules[path] = Module(path, text, tree)
            waiting += self._imports(module, entry)

    def _imports(self, module: Module, entry: str) -> list[str]:
        """Fill in what the module's names stand for; the files of the project among them."""
        reached: list[str] = []
        for node in module.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    path = self._file(module, alias.name, 0, entry)
                    shown = alias.asname or alias.name.partition(".")[0]
                    if path and (alias.asname or "." not in alias.name):
                        module.ours[shown] = (path, "")
                    elif not path:
                        module.names[shown] = alias.name if alias.asname else shown
                    reached.append(path)
            elif isinstance(node, ast.ImportFrom):
                path = self._file(module, node.module or "", node.level, entry)
                for alias in node.names:
                    shown = alias.asname or alias.name
                    inner = self._file(module, f"{node.module or ''}.{alias.name}".strip("."), node.level, entry)
                    if alias.name == "*":
                        origin = node.module or ""
                        for name in self.pipecat.names(origin) if not path else ():
                            module.names.setdefault(name, f"{origin}.{name}")
                        if path:
                            module.ours[f"*{path}"] = (path, "*")
                    elif inner:
                        module.ours[shown] = (inner, "")
                        reached.append(inner)
                    elif path:
                        module.ours[shown] = (path, alias.name)
                    elif not node.level:
                        module.names[shown] = f"{node.module}.{alias.name}"
                reached.append(path)
        return [path for path in reached if path]

    def _file(self, module: Module, name: str, level: int, entry: str) -> str:
        """The file of the project that is imported by this name; "" where it is none of it."""
        here, parts = Path(module.path), [part for part in name.split(".") if part]
        if level:
            ups = [here.parent, *here.parent.parents]
            places = [ups[level - 1]] if level <= len(ups) else []
        else:
            places = [Path(entry).parent, Path(), Path("src")] if parts else []
        for place in places:
            base = place.joinpath(*parts)
            for file in (base.with_name(f"{base.name}.py") if base.name else base, base / "__init__.py"):
                if file.suffix == ".py" and (self.root / file).is_file():
                    return file.as_posix()
        return ""

    # --- names --------------------------------------------------------------------------------------

    def name(self, module: Module, expression: ast.expr | None) -> str:
        """The dotted name, where it is defined, of what an expression names outside the project; else ""."""
        dotted = self.written(module, expression)
        return self.pipecat.where(dotted) if dotted.startswith("pipecat.") else dotted

    def written(self, module: Module, expression: ast.expr | None, depth: int = 0) -> str:
        """The same by the import that the file has."""
        if isinstance(expression, ast.Attribute):
            owner = self.written(module, expression.value, depth)
            if owner:
                return f"{owner}.{expression.attr}"
            there = self.ours(module, expression)
            return there[0].names.get(there[1], "") if there and there[1] else ""
        if isinstance(expression, ast.Name):
            if expression.id in module.names:
                return module.names[expression.id]
            value = module.value(expression.id)
            if isinstance(value, ast.Name | ast.Attribute) and depth < 8:
                return self.written(module, value, depth + 1)
            there = self.ours(module, expression)
            return there[0].names.get(there[1], "") if there and there[0] is not module else ""
        return ""

    def ours(self, module: Module, expression: ast.expr | None) -> tuple[Module, str] | None:
        """The module of the project, and the name in it, that an expression names."""
        if isinstance(expression, ast.Attribute):
            outer = self.ours(module, expression.value)
            return (outer[0], expression.attr) if outer and not outer[1] else None
        if not isinstance(expression, ast.Name):
            return None
        name = expression.id
        for _ in range(10):
            if name in module.ours:
                path, there = module.ours[name]
                if path not in self.modules:
                    return None
                module, name = self.modules[path], there
                if not name:
                    return module, ""
                continue
            if module.definition(name) or name in module.values or name in module.names:
                return module, name
            stars = [p for shown, (p, n) in module.ours.items() if n == "*" and p in self.modules and p != shown]
            found = next((self.modules[p] for p in stars if self._has(self.modules[p], name)), None)
            if found is None:
                return None
            module = found
        return None

    @staticmethod
    def _has(module: Module, name: str) -> bool:
        return bool(module.definition(name)) or name in module.values or name in module.names

    def definition(self, module: Module, expression: ast.expr | None) -> tuple[Module, ast.stmt] | None:
        """The function or class of the project that an expression names."""
        there = self.ours(module, expression)
        node = there[0].definition(there[1]) if there and there[1] else None
        return (there[0], node) if there and node is not None else None
