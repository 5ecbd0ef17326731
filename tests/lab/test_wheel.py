"""The wheel, in an environment of its own: everything that is not Python is in it too."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [
            uv.find_uv_bin(),
            "build",
            "--quiet",
            "--wheel",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "-o",
            out,
            ROOT,
        ],
        check=True,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`voicedeploy` installed from the wheel and nothing else."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    tool = uv.find_uv_bin()
    subprocess.run([tool, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    constraints = ["--constraint", str(ROOT / "requirements.lock")]
    subprocess.run(
        [
            tool,
            "pip",
            "install",
            "--quiet",
            "--python",
            environment,
            *constraints,
            f"voicedeploy[local] @ {wheel.as_uri()}",
        ],
        check=True,
    )
    yield environment / "bin" / "voicedeploy"


def test_what_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "voicedeploy/templates/bot/bot.py.j2",
        "voicedeploy/templates/front.toml.j2",
        "voicedeploy/data/targets.toml",
        "voicedeploy/data/transports.toml",
        "voicedeploy/serve/page/index.html",
        "voicedeploy/serve/page/assets/app.js",
        "voicedeploy/serve/worker/__main__.py",
        "voicedeploy/call/report.html",
        "voicedeploy/py.typed",
        "voicedeploy_providers/local/__init__.py",
    ):
        assert name in names
    assert any(name.endswith(".wav") for name in names)
    assert not any(name.startswith(("tests/", "docs/", "page/")) or name.endswith(".env") for name in names)


def test_it_makes_a_project_and_plans_it(command: Path, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}

    def typed(*words: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run([command, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done
        return done.stdout

    assert json.loads(typed("init", "desk", "--json"))["name"] == "desk"
    plan = json.loads(typed("up", "--dry-run", "--json", cwd=tmp_path / "desk"))
    assert plan["have"] is None
    assert [step["summary"].split()[0] for step in plan["steps"]][:3] == ["key", "release", "environment"]
    assert "Cloud Run" in typed("targets", "cloudrun")
