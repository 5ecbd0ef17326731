"""Providers are found by entry point, imported only when asked for, and refused by name when they lack a part."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from voicedeploy import registry
from voicedeploy.errors import UsageError


def test_the_bundled_ones_are_there() -> None:
    assert "local" in registry.names()
    assert registry.load("local").name == "local"


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        registry.load("lokal")
    assert "--provider local" in caught.value.hint


class Half:
    name = "half"

    def check(self) -> None: ...


def point(value: str) -> EntryPoint:
    return EntryPoint(name="half", value=value, group=registry.GROUP)


def test_a_class_that_lacks_a_part_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [point(f"{__name__}:Half")])
    with pytest.raises(UsageError) as caught:
        registry.load("half")
    for part in ("configure", "deployments", "plan", "status", "summary"):
        assert part in caught.value.message
    assert "check" not in caught.value.message


def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [point("no_such_sdk.provider:Half")])
    with pytest.raises(UsageError) as caught:
        registry.load("half")
    assert "no_such_sdk" in caught.value.message
    assert "voicedeploy[half]" in caught.value.hint


def test_looking_at_the_names_imports_no_provider() -> None:
    code = (
        "import sys; from voicedeploy import registry; registry.names(); print('voicedeploy_providers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
