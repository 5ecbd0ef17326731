"""What a project installs for its transport, and what it lacks: by real lock files of uv."""

import subprocess
from pathlib import Path

import pytest
import uv

from voicedeploy import environment, project, transports
from voicedeploy.network import Transport
from voicedeploy.packages import lacking, own_extra
from voicedeploy.plan import Command
from voicedeploy.spec import Spec, load

OWN = """\
[project]
name = "desk"
version = "0"
requires-python = ">=3.11"
dependencies = ["pipecat-ai==1.14.0"]
[project.optional-dependencies]
webrtc = ["pipecat-ai[webrtc]"]
twilio = ["pipecat-ai[websocket]"]
plivo = ["pipecat-ai[websocket]"]
[dependency-groups]
dev = ["pipecat-ai[runner,daily]"]
"""
LOCK = """\
version = 1
requires-python = ">=3.11"
[[package]]
name = "aiortc"
version = "1.16.0"
[[package]]
name = "daily-python"
version = "0.36.0"
[[package]]
name = "desk"
version = "0"
source = { virtual = "." }
dependencies = [{ name = "pipecat-ai" }]
[package.optional-dependencies]
webrtc = [{ name = "pipecat-ai", extra = ["webrtc"] }]
twilio = [{ name = "pipecat-ai", extra = ["websocket"] }]
plivo = [{ name = "pipecat-ai", extra = ["websocket"] }]
[package.dev-dependencies]
dev = [{ name = "pipecat-ai", extra = ["daily", "runner"] }]
[[package]]
name = "fastapi"
version = "0.165.0"
dependencies = [{ name = "starlette" }]
[[package]]
name = "pipecat-ai"
version = "1.14.0"
dependencies = [{ name = "aiohttp" }]
[package.optional-dependencies]
daily = [{ name = "daily-python" }]
runner = [{ name = "fastapi" }]
webrtc = [{ name = "aiortc" }]
websocket = [{ name = "fastapi" }]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(OWN)
    (tmp_path / "uv.lock").write_text(LOCK)
    return tmp_path


def spec(root: Path, kind: str) -> Spec:
    (root / "voicedeploy.toml").write_text(f'[bot]\nname = "desk"\n[transport]\nkind = "{kind}"\n')
    return load(root / "voicedeploy.toml")


def fix(root: Path, kind: str) -> str:
    return lacking(root, project.dependencies(root), Transport(kind))[1]


def test_the_extra_of_the_transport_is_what_counts(root: Path) -> None:
    assert [kind for kind in Transport if own_extra(root, kind)] == ["webrtc", "twilio", "plivo"]
    assert (fix(root, "webrtc"), fix(root, "twilio"), fix(root, "plivo")) == ("", "", "")
    # In the lock, but only in another extra or in the group for development.
    assert fix(root, "telnyx") == "uv add 'pipecat-ai[websocket]'"
    assert lacking(root, project.dependencies(root), Transport.DAILY) == (
        ("daily-python",), "uv add 'pipecat-ai[daily]'")  # fmt: skip
    assert fix(root, "livekit") == "uv add 'pipecat-ai[livekit]'"


def test_an_extra_that_is_not_locked_yet(root: Path) -> None:
    text = OWN.replace("plivo =", 'exotel = []\ndaily = ["pipecat-ai[daily]"]\nplivo =')
    (root / "pyproject.toml").write_text(text)
    assert (fix(root, "daily"), fix(root, "exotel")) == ("uv lock", "uv lock")
    known = LOCK.replace(
        "[package.dev-dependencies]", '[package.metadata]\nprovides-extras = ["exotel"]\n[package.dev-dependencies]'
    )
    (root / "uv.lock").write_text(known)
    assert fix(root, "exotel") == "uv add 'pipecat-ai[websocket]'"


def test_a_lock_file_that_nobody_can_read_is_uvs_business(root: Path) -> None:
    (root / "uv.lock").write_text("not toml [")
    assert fix(root, "daily") == ""
    (root / "uv.lock").write_text('[[package]]\nversion = "1"\n')
    assert fix(root, "daily") == ""


@pytest.mark.parametrize(
    ("lines", "kind", "said"),
    [
        ("pipecat-ai[webrtc]==1.14.0", "webrtc", ""),
        ("pipecat-ai[webrtc]==1.14.0", "twilio", "write pipecat-ai[webrtc,websocket]==1.14.0 in requirements.txt"),
        ("pipecat-ai[webrtc,runner]==1.14.0", "exotel", ""),
        ("pipecat_ai == 1.14.0", "daily", "write pipecat-ai[daily]==1.14.0 in requirements.txt"),
        # As pip-compile writes it, with hashes and without extras.
        ("pipecat-ai==1.14.0 \\\n    --hash=sha256:00\ndaily-python==0.36.0  # via pipecat-ai\n", "daily", ""),
        ("-r more.txt", "livekit", ""),
        ("--index-url https://pypi.example.org/simple\nour-kit==1", "daily", ""),
        ("-e ../pipecat\npipecat-ai==1.14.0", "daily", ""),
    ],
)
def test_lists_of_requirements_go_by_what_they_name(tmp_path: Path, lines: str, kind: str, said: str) -> None:
    (tmp_path / "requirements.txt").write_text(lines)
    (tmp_path / "more.txt").write_text("pipecat-ai[livekit]==1.14.0\n-r requirements.txt\n")
    assert fix(tmp_path, kind) == said


def test_a_project_without_a_lock_goes_by_what_it_names(root: Path) -> None:
    (root / "uv.lock").unlink()
    assert (fix(root, "webrtc"), fix(root, "plivo")) == ("", "")
    assert fix(root, "daily") == "uv add 'pipecat-ai[daily]'"


def test_environments_go_by_what_the_transport_needs(root: Path) -> None:
    names = {kind: environment.digest(spec(root, kind)) for kind in ("webrtc", "twilio", "plivo", "daily")}
    assert names["twilio"] == names["plivo"] != names["webrtc"] != names["daily"]
    assert environment.digest(spec(root, "webrtc")) == names["webrtc"], "switching back finds the old one"


def test_a_project_without_extras_keeps_its_environment(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pipecat-ai[webrtc,websocket]==1.14.0\n")
    assert len({environment.digest(spec(tmp_path, kind)) for kind in Transport}) == 1


def argv(root: Path, kind: str) -> tuple[str, ...]:
    (step,) = environment.steps(spec(root, kind), uv="uv", folder="/e/1", source="/r", env={}, exists=False)
    assert isinstance(step.action, Command)
    return step.action.argv


def test_only_the_extra_of_the_transport_is_installed(root: Path) -> None:
    said = argv(root, "twilio")
    assert said[said.index("--extra") + 1] == "twilio" and said.count("--extra") == 1
    assert "--frozen" in said
    assert "--extra" not in argv(root, "daily")


def test_uv_takes_what_is_typed(root: Path) -> None:
    """uv itself, without a network: it refuses what it does not know, and finds the extra of a project."""
    done = subprocess.run(
        [uv.find_uv_bin(), *argv(root, "twilio")[1:], "--dry-run", "--offline", "--no-cache"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "unexpected argument" not in done.stderr and "Extra" not in done.stderr, done.stderr


def test_every_transport_has_its_row() -> None:
    for kind in Transport:
        about = transports.about(kind)
        assert about.packages and about.caller
        assert about.cost
        assert bool(about.bills) == (about.cost != "nothing but the host")
    assert "not known" in transports.about(Transport.TWILIO).cost
    assert "2026-08-21" in transports.about(Transport.DAILY).cost


def test_the_guide_has_the_table_as_it_is() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "guide" / "switch.md").read_text("utf-8")
    for kind in Transport:
        about = transports.about(kind)
        names = ", ".join(f"`{name}`" for name in about.secrets)
        assert f"| `{kind}` | `{about.extra}` | {names}{' ' if names else ''}|\n" in guide


def test_pipecat_has_the_extras() -> None:
    from importlib.metadata import requires

    listed = list(requires("pipecat-ai") or ())
    for kind in Transport:
        about = transports.about(kind)
        for package in about.packages:
            assert any(line.startswith(package) and f'extra == "{about.extra}"' in line for line in listed), package
        for other in about.also:
            assert any(f'extra == "{other}"' in line for line in listed)


def test_the_transports_secrets_are_asked_for(root: Path) -> None:
    assert transports.secrets(spec(root, "webrtc")) == ()
    assert transports.secrets(spec(root, "twilio")) == ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
