"""Whether the project's Pipecat is one and the same each time."""

from pathlib import Path

import pytest

from voicedeploy.lint import Fault, lint
from voicedeploy.lint.packages import asked
from voicedeploy.lint.pipecat import pipecat
from voicedeploy.network import Transport


def project(root: Path, files: dict[str, str]) -> list[Fault]:
    for name, text in files.items():
        (root / name).write_text(text, "utf-8")
    return [fault for fault in lint(root, "bot.py", Transport.WEBRTC) if fault.code == "VD161"]


def pyproject(*dependencies: str) -> str:
    lines = "".join(f'  "{one}",\n' for one in dependencies)
    return f'[project]\nname = "x"\nversion = "1"\ndependencies = [\n{lines}]\n'


LOCK = 'version = 1\n[[package]]\nname = "pipecat-ai"\nversion = "1.14.0"\n'


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"requirements.txt": "numpy\npipecat-ai>=0.0.99\n"}, 2),
        ({"requirements.txt": "pipecat-ai\n"}, 1),
        ({"requirements.txt": "# voice\nPipecat_AI[webrtc] ~= 1.14\n"}, 2),
        ({"requirements.txt": "pipecat-ai<2\n"}, 1),
        ({"requirements.txt": "pipecat-ai==1.*\n"}, 1),
        ({"requirements.txt": "-r more.txt\n", "more.txt": "pipecat-ai>=1\n"}, 1),
        ({"pyproject.toml": pyproject("numpy", "pipecat-ai[webrtc]>=1.14,<2")}, 6),
    ],
)
def test_pipecat_that_may_be_another_each_time(files: dict[str, str], line: int, tmp_path: Path) -> None:
    (fault,) = project(tmp_path, files)
    assert fault.severity == "error"
    assert fault.path == next(iter(files))
    assert fault.line == line
    assert fault.fix == ("uv lock" if "pyproject.toml" in files else fault.fix)
    assert "==1.14.0" in fault.fix or fault.fix == "uv lock"


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "pipecat-ai==1.14.0\n"},
        {"requirements.txt": "pipecat-ai[webrtc, runner] == 1.14.0  # ok\nnumpy\n"},
        {"requirements.txt": "pipecat-ai==1.14.0 \\\n    --hash=sha256:00\n"},
        {"requirements.txt": "pipecat-ai\n-c constraints.txt\n", "constraints.txt": "pipecat-ai==1.14.0\n"},
        {"requirements.txt": "pipecat-ai @ git+https://example.org/pipecat@abc\n"},
        {"requirements.txt": "numpy\n"},
        {"pyproject.toml": pyproject("pipecat-ai==1.14.0")},
        {"pyproject.toml": pyproject("pipecat-ai==1.14.*")},
        {"pyproject.toml": pyproject("pipecat-ai~=1.14.0")},
        {"pyproject.toml": pyproject("pipecat-ai>=1"), "uv.lock": LOCK},
        {"pyproject.toml": "no toml ["},
        {},
    ],
)
def test_pipecat_that_is_pinned_or_nothing_to_say(files: dict[str, str], tmp_path: Path) -> None:
    assert project(tmp_path, files) == []


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"requirements.txt": "pipecat-ai==1.13.2\n"}, "1.13.2"),
        ({"requirements.txt": "pipecat-ai>=1\n"}, None),
        ({"pyproject.toml": pyproject("pipecat-ai==1.14.*")}, "1.14"),
        ({"pyproject.toml": pyproject("pipecat-ai>=1"), "uv.lock": LOCK}, "1.14.0"),
        ({"pyproject.toml": pyproject("pipecat-ai>=1"), "uv.lock": "broken ["}, None),
    ],
)
def test_the_version(files: dict[str, str], version: str | None, tmp_path: Path) -> None:
    project(tmp_path, files)
    found = asked(tmp_path, pipecat().version).version
    assert (str(found) if found else None) == version
