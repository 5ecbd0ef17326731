"""`check` says what the lint finds, `up` is stopped by its errors, and every code is in the reference."""

import ast
import json
import re
from pathlib import Path

import pytest

from tests.test_cli import typed

ROOT = Path(__file__).parents[2]
BOT = """\
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.transports.base_transport import TransportParams

PARAMS = TransportParams(audio_in_enabled=True, {more}audio_out_10ms_chunks=2)


async def bot(runner_args):
    VADParams(stop_secs=0.8)
"""


@pytest.fixture(autouse=True)
def own_state(home: Path) -> None:
    """Nothing here sees what really runs."""


def test_check_prints_file_and_line_and_up_is_stopped(small_project: Path) -> None:
    (small_project / "bot.py").write_text(BOT.replace("{more}", "vad_enabled=True, "))
    said = typed("check", cwd=small_project)
    assert said.returncode == 3
    assert re.search(r"^bot +error +VD160  bot\.py:4  TransportParams has no `vad_enabled`", said.stdout, re.M)
    assert re.search(r"^bot +warning +VD167  bot\.py:8  0\.8 s of silence", said.stdout, re.M)
    up = typed("up", "--yes", "--no-call", cwd=small_project)
    assert up.returncode == 3
    assert "bot.py:4  TransportParams has no `vad_enabled`" in up.stderr


def test_a_warning_stops_nothing(small_project: Path) -> None:
    (small_project / "bot.py").write_text(BOT.replace("{more}", ""))
    said = json.loads(typed("check", "--json", cwd=small_project).stdout)
    ours = [f for f in said["findings"] if f["code"] == "VD167"]
    assert [(f["severity"], f["subject"]) for f in ours] == [("warning", "bot")]
    assert "error" not in {f["severity"] for f in said["findings"]}


def test_pipecat_without_a_pin_is_refused(small_project: Path) -> None:
    (small_project / "requirements.txt").write_text("pipecat-ai[webrtc]>=1.14\n")
    said = typed("check", cwd=small_project)
    assert said.returncode == 3
    assert re.search(r"^packages +error +VD161  requirements\.txt:1  `pipecat-ai\[webrtc\]>=1\.14`", said.stdout, re.M)


def test_every_fault_is_documented_with_its_severity() -> None:
    text = (ROOT / "docs" / "reference" / "findings.md").read_text("utf-8")
    documented = dict(re.findall(r"^## (VD\d{3})\n\n(error|warning)", text, re.M))
    used: dict[str, set[str]] = {}
    for path in (ROOT / "voicedeploy" / "lint").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault":
                code, severity = (ast.literal_eval(arg) for arg in node.args[:2])
                used.setdefault(code, set()).add(severity)
    assert {code: {documented[code]} for code in used} == used
    ours = {code for code in documented if "VD160" <= code <= "VD169" or "VD210" <= code <= "VD219"}
    assert ours == set(used)
