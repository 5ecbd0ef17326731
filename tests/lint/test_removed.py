"""Everything that Pipecat renamed or removed is found, and it is what the installed Pipecat really does."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.lint.rows import FINE, KEYWORDS, ROWS, UNTRIED, Row
from voicedeploy.lint import lint
from voicedeploy.lint.pipecat import pipecat
from voicedeploy.network import Transport

DATA = Path(__file__).parents[2] / "voicedeploy" / "data"
REMOVED = tomllib.loads((DATA / "pipecat-removed.toml").read_text("utf-8"))

# Runs each row as a bot would, and says what came of it.
JUDGE = """
import ast, asyncio, contextlib, inspect, io, json, sys, warnings
from loguru import logger
logger.remove()

async def judge(before, line):
    scope, made = {}, None
    warnings.simplefilter("ignore")
    exec(before, scope)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if line.startswith(("from", "import", "async def")):
                exec(line, scope)
            else:
                made = eval(line, scope)
                if inspect.isawaitable(made):
                    await asyncio.wait_for(made, 5)
        except (ImportError, TypeError, AttributeError):
            if not any("2.0.0" in str(w.message) for w in said):
                return "fails"
    if any("2.0.0" in str(w.message) for w in said):
        return "warns"
    if hasattr(made, "model_fields_set"):
        given = {k.arg for k in ast.parse(line, mode="eval").body.keywords}
        return "drops" if given - set(type(made).model_fields) else "says nothing"
    return "says nothing"

async def main():
    return [await judge(*row) for row in json.load(sys.stdin)]

out = sys.stdout
with contextlib.redirect_stdout(io.StringIO()):
    answers = asyncio.run(main())
json.dump(answers, out)
"""


def found(row: Row, tmp_path: Path) -> list[tuple[str, str]]:
    lines = f"{row.before}\n{row.line}" if row.before else row.line
    (tmp_path / "bot.py").write_text(f"{lines}\n", "utf-8")
    return [(fault.code, fault.fix) for fault in lint(tmp_path, "bot.py", Transport.WEBRTC)]


@pytest.mark.parametrize("row", [*ROWS, *UNTRIED], ids=lambda row: row.name)
def test_it_is_found(row: Row, tmp_path: Path) -> None:
    said = found(row, tmp_path)
    assert [code for code, _ in said] == [row.code]
    assert all(fix for _, fix in said)


@pytest.mark.parametrize("row", FINE, ids=lambda row: row.name)
def test_what_a_class_has_is_no_fault(row: Row, tmp_path: Path) -> None:
    assert found(row, tmp_path) == []


def test_the_installed_pipecat_does_what_the_rows_say() -> None:
    rows = json.dumps([(row.before, row.line) for row in ROWS])
    done = subprocess.run([sys.executable, "-c", JUDGE], input=rows, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    said = dict(zip((row.name for row in ROWS), json.loads(done.stdout), strict=True))
    assert said == {row.name: row.real for row in ROWS}


@pytest.mark.parametrize("keyword", [k for row in REMOVED["keywords"].values() for k in row])
def test_every_removed_keyword_has_a_row(keyword: str) -> None:
    assert keyword in KEYWORDS or any(f"({keyword}=" in row.line for row in ROWS)


def test_what_is_listed_as_removed_is_really_gone() -> None:
    known = pipecat()
    assert [m for m in REMOVED["modules"] if known.has_module(m)] == []
    assert [n for n in REMOVED["names"] if known.homes(n)] == []
    classes = {
        "TransportParams": "pipecat.transports.base_transport.TransportParams",
        "PipelineParams": "pipecat.pipeline.worker.PipelineParams",
    }
    for cls, keywords in REMOVED["keywords"].items():
        fields = known.fields(classes[cls])
        assert fields
        assert set(keywords) & fields == set()
        assert {row["now"] for row in keywords.values() if "now" in row} <= fields


def test_what_to_write_instead_is_really_there() -> None:
    """Each class, module and keyword that a fix names."""
    known = pipecat()
    texts = [*REMOVED["names"].values(), *REMOVED["methods"].values()]
    texts += [row.get("fix", "") for keywords in REMOVED["keywords"].values() for row in keywords.values()]
    for text in texts:
        for name in re.findall(r"\b(?:[A-Z]{1,6}[a-z0-9]\w+[A-Z]\w+)", text):
            assert known.homes(name), f"{text!r}: nothing is called {name}"
        for module in re.findall(r"pipecat(?:\.\w+)+", text):
            assert known.has_module(module), text
        for name, module in re.findall(r"(\w+) of (pipecat[\w.]+)", text):
            assert known.has(module, name), text
    for module in REMOVED["modules"].values():
        assert known.has_module(module)


def test_a_call_that_a_fix_shows_is_one_that_pipecat_takes() -> None:
    known = pipecat()
    for keywords in REMOVED["keywords"].values():
        for text in (row.get("fix", "") for row in keywords.values()):
            for cls, arguments in re.findall(r"(LLMUserAggregatorParams|UserTurnStrategies)\((\w+)=", text):
                home = known.homes(cls)[0]
                assert arguments in (known.fields(f"{home}.{cls}") or ()), text


# --- versions ---------------------------------------------------------------------------------------


def faults(tmp_path: Path, version: str, code: str) -> list[tuple[str, str]]:
    (tmp_path / "bot.py").write_text(code, "utf-8")
    (tmp_path / "requirements.txt").write_text(f"pipecat-ai=={version}\n", "utf-8")
    return [(fault.code, fault.message) for fault in lint(tmp_path, "bot.py", Transport.WEBRTC)]


OLD = (
    "from pipecat.transports.base_transport import TransportParams\n"
    "TransportParams(audio_in_enabled=True, vad_enabled=True, tomorrow=True)\n"
)


def test_the_rules_version_is_said_where_it_is_another(tmp_path: Path) -> None:
    assert all("rules of" not in message for _, message in faults(tmp_path, "1.14.0", OLD))
    earlier = faults(tmp_path, "1.3.0", OLD)
    assert [code for code, _ in earlier] == ["VD160"]
    assert all("(rules of Pipecat 1.14.0, requirements.txt has 1.3.0)" in message for _, message in earlier)


@pytest.mark.parametrize("version", ["1.7.0", "1.15.0"])
def test_another_pipecat_may_have_more_than_we_know(version: str, tmp_path: Path) -> None:
    ((code, message),) = faults(tmp_path, version, OLD)
    assert code == "VD160"
    assert "vad_enabled" in message
    services = (
        "from pipecat.services.openai import OpenAILLMService\nfrom pipecat.services.lmnt.tts import LmntTTSService\n"
    )
    ((code, message),) = faults(tmp_path, version, services)
    assert "OpenAILLMService" in message
    assert [code for code, _ in faults(tmp_path, "1.14.2", services)] == ["VD160", "VD160"]


@pytest.mark.parametrize("version", ["0.0.99", "2.0.0"])
def test_of_another_pipecat_only_what_is_sure_is_said(version: str, tmp_path: Path) -> None:
    assert faults(tmp_path, version, OLD) == []
    silent = OLD.replace("audio_in_enabled=True, ", "") + "from dotenv import load_dotenv\nload_dotenv(override=True)\n"
    assert [code for code, _ in faults(tmp_path, version, silent)] == ["VD163", "VD168"]


def test_what_is_not_deprecated_yet_is_no_fault(tmp_path: Path) -> None:
    code = "from pipecat.pipeline.runner import PipelineRunner\n"
    assert faults(tmp_path, "1.2.0", code) == []
    assert [c for c, _ in faults(tmp_path, "1.3.0", code)] == ["VD162"]


def test_the_version_is_that_of_the_lock_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\ndependencies = ["pipecat-ai>=1"]\n')
    (tmp_path / "uv.lock").write_text('version = 1\n[[package]]\nname = "pipecat-ai"\nversion = "1.3.0"\n')
    (tmp_path / "bot.py").write_text(OLD, "utf-8")
    assert "uv.lock has 1.3.0" in lint(tmp_path, "bot.py", Transport.WEBRTC)[0].message


def test_rows_are_python() -> None:
    for row in [*ROWS, *UNTRIED, *FINE]:
        ast.parse(f"{row.before}\n{row.line}")
