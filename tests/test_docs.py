"""The documents say what the code does: codes, keys, routes, links and examples."""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from voicedeploy_providers.fly import options as fly
from voicedeploy_providers.local import options as local
from voicedeploy_providers.pipecat_cloud import options as pipecat_cloud
from voicedeploy_providers.vm import options as vm

from voicedeploy.servers import TurnServer
from voicedeploy.spec import Spec, load

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SOURCES = sorted([*(ROOT / "voicedeploy").rglob("*.py"), *(ROOT / "providers").rglob("*.py")])


def calls(name: str, folder: str = "") -> Iterator[ast.Call]:
    for path in SOURCES:
        if not path.relative_to(ROOT).as_posix().startswith(folder):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node


def literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# --- findings ---------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    text = (DOCS / "reference" / "findings.md").read_text("utf-8")
    parts = re.split(r"^## (VD\d{3})$", text, flags=re.M)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def test_every_finding_is_documented_with_its_severity() -> None:
    documented = sections()
    used: dict[str, set[str]] = {}
    for call in calls("Finding"):
        if len(call.args) > 1 and literal(call.args[0]):
            used.setdefault(literal(call.args[0]), set()).add(literal(call.args[1]))
    assert used, "no finding found: has the class another name?"
    for code, severities in used.items():
        assert code in documented, f"{code} is not in docs/reference/findings.md"
        said = documented[code].partition(".")[0]
        assert {said} == severities, f"{code} is documented as {said!r}"


def test_no_documented_finding_is_gone() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES)
    assert [code for code in sections() if f'"{code}"' not in text] == []


def test_finding_codes_are_in_order_and_in_a_range() -> None:
    codes = list(sections())
    assert codes == sorted(codes)
    text = (DOCS / "reference" / "findings.md").read_text("utf-8")
    ranges = [(int(a), int(b)) for a, b in re.findall(r"^\| VD(\d{3})–VD(\d{3}) ", text, re.M)]
    assert all(a <= b < c for (a, b), (c, _) in pairwise(ranges))
    assert all(any(a <= int(code[2:]) <= b for a, b in ranges) for code in codes if code != "VD000")


# --- the spec ---------------------------------------------------------------------------------------


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{prefix}{name}.")
        elif not (get_origin(inner) in (Union, UnionType) and BaseModel in get_args(inner)):
            yield f"{prefix}{name}", None if field.is_required() else field.get_default(call_default_factory=True)


def documented_keys() -> dict[str, str]:
    text = (DOCS / "reference" / "spec.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([a-z_.-]+)` \|([^|]*)\|", text, re.M))


def expected_keys() -> dict[str, Any]:
    spec = {key: default for key, default in keys(Spec) if key != "provider"}
    own = {
        **dict(keys(local.Options, "provider.local.")),
        **dict(keys(vm.Options, "provider.vm.")),
        **dict(keys(fly.Options, "provider.fly.")),
        **dict(keys(pipecat_cloud.Options, "provider.pipecat-cloud.")),
    }
    return {**spec, **dict(keys(TurnServer)), **own}


def test_every_key_of_the_spec_is_documented() -> None:
    assert sorted(documented_keys()) == sorted(expected_keys())


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    for key, default in expected_keys().items():
        said = documented_keys()[key].strip(" `")
        if not said:
            assert default is None, f"{key} has the default {default!r}"
            continue
        value = tomllib.loads(f"value = {said}")["value"]
        if key in ("session.memory", "session.max_duration", "session.idle", "phone.patience"):
            section, name = key.split(".")
            file = tmp_path / "voicedeploy.toml"
            file.write_text(f'[bot]\nname = "x"\n[{section}]\n{name} = {said}\n', "utf-8")
            value = getattr(getattr(load(file), section), name)
        elif isinstance(value, list):
            value = tuple(value)
        assert value == default, f"{key}: documented as {said}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_examples_of_the_spec_are_valid(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text if "[bot]" in text else f'[bot]\nname = "example"\n\n{text}', "utf-8")
        spec = load(file)
        local.Options.model_validate(dict(spec.options("local")))
        vm.Options.model_validate(dict(spec.options("vm")))


# --- the front --------------------------------------------------------------------------------------


def test_every_route_and_error_of_the_front_is_documented() -> None:
    text = (DOCS / "reference" / "http.md").read_text("utf-8")
    routes = {literal(call.args[0]) for call in calls("Route", "voicedeploy/serve/") if call.args}
    assert routes
    for route in routes:
        path = route.replace("{path:path}", "")
        assert re.search(rf"[ `]{re.escape(path)}[`|, ]", text), f"{route} is not in docs/reference/http.md"
    codes = {literal(call.args[1]) for call in calls("Refusal", "voicedeploy/serve/") if len(call.args) > 1}
    codes |= {literal(call.args[0]) for call in calls("InvalidToken", "voicedeploy/serve/") if call.args}
    assert codes - {""}
    assert {code for code in codes - {""} if f"`{code}`" not in text} == set()


# --- all pages --------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"
