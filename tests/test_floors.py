"""The floors of the house: what may import what."""

import ast
import re
from pathlib import Path

import pytest

from voicedeploy import beside

ROOT = Path(__file__).parent.parent
FLOORS = [
    {"ask", "errors", "network", "units", "stun", "turn", "beside", "api", "way", "reach", "section", "servers"},
    {"spec", "plan", "deployment", "project", "targets", "transports", "packages"},
    {"render", "options", "environment", "editing", "lint"},
    {"init", "front", "image"},
    {"provider"},
    {"readiness", "relays", "verdicts"},
    {"registry"},
    {"engine", "switching", "testing", "upstream"},
]
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
ROOMS = {"cli", "serve", "call", "phone", "comparing"}
ONLY = {"typer": {"cli"}, "rich": {"cli"}, "click": {"cli"}, "jinja2": {"render"}, "starlette": {"serve"},
        "uvicorn": {"serve"}, "prometheus_client": {"serve"}, "aiortc": {"call", "serve.worker"},
        "pipecat": {"serve.worker"}, "av": {"call", "serve.worker"}, "plotly": {"call"}}  # fmt: skip
FILES = sorted((ROOT / "voicedeploy").rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            if node.module == "voicedeploy":
                found |= {f"voicedeploy.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "voicedeploy").with_suffix("").parts
    return parts[0]


def ours(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("voicedeploy.")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_imports_upwards(path: Path) -> None:
    here, used = room(path), ours(path)
    if here in ("cli", "__main__", "__init__"):
        return
    if here in ("serve", "call"):
        # The caller signs as carriers do, by the functions that check it.
        beside = {"serve"} if here == "call" else set()
        assert used <= {here, "render"} | beside | {name for name, level in LEVEL.items() if level <= 1}
        return
    if here == "phone":
        assert used <= {here, "serve"} | {name for name, level in LEVEL.items() if level <= LEVEL["provider"]}
        return
    if here == "comparing":
        assert used <= {here, "call"} | {name for name, level in LEVEL.items() if level == 0}
        return
    assert here in LEVEL, f"{here} has no floor"
    above = {name for name in used if name in ROOMS or LEVEL[name] > LEVEL[here]}
    assert not above


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_library_has_its_room(path: Path) -> None:
    inside = ".".join(path.relative_to(ROOT / "voicedeploy").with_suffix("").parts)
    for name in imports(path):
        rooms = ONLY.get(name.split(".")[0])
        assert rooms is None or any(inside == r or inside.startswith(f"{r}.") for r in rooms), name


@pytest.mark.parametrize("path", sorted((ROOT / "providers").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_providers_know_the_floors_below_and_not_each_other(path: Path) -> None:
    assert ours(path) <= {name for name, level in LEVEL.items() if level <= LEVEL["readiness"]}
    parts = path.relative_to(ROOT / "providers" / "voicedeploy_providers").parts
    for name in imports(path):
        if name.startswith("voicedeploy_providers."):
            assert name.split(".")[1] == parts[0].removesuffix(".py")


def test_newcomers_are_told_the_same() -> None:
    told = re.findall(r"^\| \d \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    assert told == [" ".join(f"`{name}`" for name in sorted(floor)) for floor in FLOORS]


def test_the_worker_needs_nothing_of_ours() -> None:
    for path in sorted((ROOT / "voicedeploy" / "serve" / "worker").rglob("*.py")):
        assert not ours(path), path
        assert "voicedeploy" not in imports(path), path


def needed(path: Path) -> set[str]:
    """The modules of ours that a file imports when it runs, not only when its types are checked."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("voicedeploy.")
    }


def test_what_goes_to_a_target_needs_nothing_that_stays_here() -> None:
    there = set(beside.files())
    for name in there:
        if name.endswith(".py"):
            for module in needed(ROOT / name):
                path = module.replace(".", "/")
                assert {f"{path}.py", f"{path}/__init__.py"} & there, f"{name} needs {module}"
