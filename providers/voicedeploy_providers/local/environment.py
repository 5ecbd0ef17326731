"""How uv is run on this machine."""

import sys
from pathlib import Path

import uv

from voicedeploy import environment
from voicedeploy.plan import Step
from voicedeploy.spec import Spec
from voicedeploy_providers.local.places import Places


def voicedeploy() -> tuple[str, ...]:
    """How to run this very voicedeploy again."""
    return (sys.executable, "-m", "voicedeploy")


def _folder(spec: Spec, places: Places) -> Path:
    return places.environment(environment.digest(spec))


def python(spec: Spec, places: Places) -> Path:
    return _folder(spec, places) / "bin" / "python"


def steps(spec: Spec, places: Places, release: str) -> list[Step]:
    folder = _folder(spec, places)
    return environment.steps(
        spec,
        uv=uv.find_uv_bin(),
        folder=str(folder),
        source=str(places.release(release)),
        env={},
        exists=folder.exists(),
    )
