"""What is said of the region of rooms."""

from pathlib import Path

import pytest

from voicedeploy.readiness import findings
from voicedeploy.spec import load
from voicedeploy.transports import proved


@pytest.mark.parametrize(
    ("kind", "region", "said"),
    [
        ("daily", "eu-west-2", False),
        ("daily", "eu-west-9", True),
        ("daily", "", False),
        ("webrtc", "eu-west-9", False),
        ("livekit", "eu-west-9", False),
    ],
)
def test_a_region_that_the_service_did_not_have_is_named(tmp_path: Path, kind: str, region: str, said: bool) -> None:
    line = f'region = "{region}"\n' if region else ""
    (tmp_path / "voicedeploy.toml").write_text(f'[bot]\nname = "a"\n[transport]\nkind = "{kind}"\n{line}')
    (tmp_path / "bot.py").write_text("async def bot(runner_args): ...\n")
    found = [f for f in findings(load(tmp_path / "voicedeploy.toml"), (), ()) if f.code == "VD221"]
    assert bool(found) is said
    if found:
        assert "eu-west-9" in found[0].message
        assert "eu-west-2" in found[0].fix


def test_in_rooms_nothing_is_heard_from_here() -> None:
    assert [proved(kind) for kind in ("daily", "livekit", "webrtc", "twilio", "")] == [
        "joined", "joined", "heard", "heard", "heard",
    ]  # fmt: skip
