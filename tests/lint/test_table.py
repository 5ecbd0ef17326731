"""The table of Pipecat is that of the Pipecat that is installed."""

import json
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest

from voicedeploy.lint.pipecat import pipecat

ROOT = Path(__file__).parents[2]
TABLE = json.loads((ROOT / "voicedeploy" / "data" / "pipecat-1.14.json").read_text("utf-8"))

# Imports what can be imported without further extras, and says what the classes really take.
LOOK = """
import contextlib, dataclasses, importlib, inspect, io, json, sys, warnings
from loguru import logger
from pydantic import BaseModel
logger.remove()
warnings.simplefilter("ignore")

def look(name):
    parts, inner = name.split("."), []
    while parts:
        try:
            thing = importlib.import_module(".".join(parts))
            break
        except ModuleNotFoundError as error:
            if error.name != ".".join(parts):
                return None
            inner.insert(0, parts.pop())
        except Exception:
            return None
    for part in inner:
        thing = getattr(thing, part, None)
    if hasattr(thing, "model_fields"):
        aliases = {f.alias for f in thing.model_fields.values() if f.alias}
        extra = thing.model_config.get("extra") or "ignore"
        own = thing.__init__ is not BaseModel.__init__
        return {"fields": sorted({*thing.model_fields, *aliases}), "extra": "refused" if own else extra}
    if inspect.isclass(thing):
        return {"fields": sorted(n for n, p in list(inspect.signature(thing.__init__).parameters.items())[1:]
                                 if p.kind is not p.VAR_POSITIONAL), "extra": "refused"}
    return None

out = sys.stdout
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    said = {name: look(name) for name in json.load(sys.stdin)}
json.dump(said, out)
"""


def test_it_is_of_the_locked_version_and_dated() -> None:
    assert TABLE["version"] == version("pipecat-ai") == str(pipecat().version)
    assert date(2026, 1, 1) < date.fromisoformat(TABLE["as_of"]) <= date.today()


def test_the_script_would_write_the_same() -> None:
    done = subprocess.run([ROOT / "scripts" / "pipecat-table", "--check"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def test_fields_are_what_the_classes_really_take() -> None:
    """Every class that can be imported here; of what needs extras, the source is all there is."""
    names = [name for name, about in TABLE["classes"].items() if "fields" in about]
    done = subprocess.run(
        [sys.executable, "-c", LOOK], input=json.dumps(names), capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    real = {name: about for name, about in json.loads(done.stdout).items() if about is not None}
    assert len(real) > 500
    for known in ("base_transport.TransportParams", "websocket.fastapi.FastAPIWebsocketParams"):
        assert f"pipecat.transports.{known}" in real
    wrong = {}
    for name, about in real.items():
        said = TABLE["classes"][name]
        differing = {n for n in set(about["fields"]) ^ set(said["fields"]) if not n.startswith("_")}
        if differing or (said["unknown"] == "dropped") != (about["extra"] == "ignore"):
            wrong[name] = (differing, said["unknown"])
    assert wrong == {}


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("pipecat.pipeline.task.PipelineParams", "pipecat.pipeline.worker.PipelineParams"),
        ("pipecat.services.openai.llm.OpenAILLMService.Settings", "pipecat.services.openai.base_llm.OpenAILLMSettings"),
        (
            "pipecat.services.openai.llm.OpenAILLMService.InputParams",
            "pipecat.services.openai.base_llm.BaseOpenAILLMService.InputParams",
        ),
        (
            "pipecat.turns.user_stop.SpeechTimeoutUserTurnStopStrategy",
            "pipecat.turns.user_stop.speech_timeout_user_turn_stop_strategy.SpeechTimeoutUserTurnStopStrategy",
        ),
        ("pipecat.transports.base_transport.TransportParams", "pipecat.transports.base_transport.TransportParams"),
    ],
)
def test_a_name_leads_to_its_definition(name: str, home: str) -> None:
    assert pipecat().where(name) == home


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        ("deepgram.stt.DeepgramSTTService", {"p99": 0.35, "final": True, "turns": False}),
        ("google.stt.GoogleSTTService", {"p99": 1.57, "final": True, "turns": False}),
        ("nvidia.stt.NvidiaSTTService", {"p99": None, "final": True, "turns": False}),
        ("stt_service.SegmentedSTTService", {"p99": None, "final": True, "turns": False}),
        ("stt_service.WebsocketSTTService", {"p99": None, "final": False, "turns": False}),
        ("deepgram.flux.stt.DeepgramFluxSTTService", {"p99": None, "turns": True}),
    ],
)
def test_how_speech_to_text_says_that_it_has_finished(cls: str, expected: dict[str, object]) -> None:
    heard = pipecat().speech_to_text(f"pipecat.services.{cls}")
    assert heard is not None
    assert {name: heard[name] for name in expected} == expected
