"""`voicedeploy compare` as it is typed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_cli import typed
from voicedeploy.call import Callee
from voicedeploy.cli.compare import _complete, _places, _sides
from voicedeploy.errors import UsageError
from voicedeploy.spec import load

NOWHERE = ("http://127.0.0.1:9/", "http://127.0.0.1:10/")
SPEC = Path("voicedeploy.toml")


@pytest.fixture(autouse=True)
def own_state(home: Path) -> Iterator[None]:
    """Nothing here sees what really runs."""
    yield


def test_a_side_is_an_address_with_its_invitation_and_perhaps_a_name() -> None:
    one, other = _sides(["https://a.example.org/#invite=TOKEN=", "far=http://b.example.org:8080/bot/#invite=X"], SPEC)
    assert one.name == "a.example.org" and one.callee.invite == "TOKEN="
    assert other.name == "far" and other.callee == Callee.parse("http://b.example.org:8080/bot/#invite=X")
    assert "TOKEN" not in repr(one)


def test_a_provider_with_a_host_of_its_own_and_with_all_of_the_specs(tmp_path: Path) -> None:
    file = tmp_path / "voicedeploy.toml"
    file.write_text('[bot]\nname = "talker"\n[provider.vm]\nhost = ["berlin", "ops@tokyo"]\n')
    spec = load(file)
    assert [(name, one.where) for name, one in _places("", "vm", spec)] == [
        ("vm@berlin", "vm berlin"),
        ("vm@ops@tokyo", "vm ops@tokyo"),
    ]
    ((name, one),) = _places("", "vm@root@homelab", spec)
    assert (name, one.where) == ("vm@root@homelab", "vm root@homelab")
    ((name, one),) = _places("home", "vm@homelab", spec)
    assert (name, one.where) == ("home", "vm homelab")


@pytest.mark.parametrize(
    ("sides", "hint"),
    [
        (["https://a.example.org/"], "compare local vm@homelab"),
        (["https://a.example.org/", "https://a.example.org/"], "one=a.example.org"),
        (["x=https://a.example.org/", "x=https://b.example.org/"], "name them"),
    ],
)
def test_two_sides_with_two_names(sides: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        _sides(sides, SPEC)
    assert hint in refused.value.hint


def test_a_provider_that_there_is_not(small_project: Path) -> None:
    said = typed("compare", "locl", "https://a.example.org/", cwd=small_project)
    assert said.returncode == 2 and "there is no provider 'locl'" in said.stderr


def test_a_provider_where_the_bot_is_not(small_project: Path) -> None:
    said = typed("compare", "local", "https://a.example.org/", cwd=small_project)
    assert said.returncode == 3 and "is not on local" in said.stderr


def test_a_place_for_the_report_that_there_is_not(tmp_path: Path) -> None:
    said = typed("compare", *NOWHERE, "--report", "no/such/page.html", cwd=tmp_path)
    assert said.returncode == 2 and "no such folder" in said.stderr


def test_who_is_not_heard_is_named_with_the_layer(tmp_path: Path) -> None:
    said = typed("compare", *NOWHERE, "--runs", "1", "--report", "page.html", cwd=tmp_path)
    assert said.returncode == 4
    assert "127.0.0.1:9: signalling: nothing answers" in said.stderr
    assert "0 of 1" in said.stdout and "1 of 1 calls failed: 1 signalling" in said.stdout
    assert "127.0.0.1:10, side by side" in (tmp_path / "page.html").read_text("utf-8")


def test_json_is_one_object_with_the_same_exit_code(tmp_path: Path) -> None:
    said = typed("compare", "a=" + NOWHERE[0], "b=" + NOWHERE[1], "--runs", "1", "--json", cwd=tmp_path)
    assert said.returncode == 4
    body = json.loads(said.stdout)
    assert [side["name"] for side in body["sides"]] == ["a", "b"]
    assert body["sides"][0]["runs"][0]["error"]["code"] == "signalling"


def test_plotly_is_read_only_for_a_report(tmp_path: Path) -> None:
    code = (
        "import sys; from voicedeploy.cli import main;"
        f"main(['compare', {NOWHERE[0]!r}, {NOWHERE[1]!r}, '--runs', '1']);"
        "print('plotly' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.stderr.splitlines()[-1] == "False"


def test_providers_are_completed() -> None:
    assert _complete("lo") == ["local"]
    assert {"local", "vm"} <= set(_complete(""))
