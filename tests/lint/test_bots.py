"""Whole bots: what is found in them, and that nothing is found in clean ones."""

import re
import shutil
import time
from pathlib import Path

import pytest

from voicedeploy.init.make import Services, artifacts_of
from voicedeploy.lint import Fault, lint
from voicedeploy.network import Transport

BOTS = Path(__file__).parent / "bots"
FOREIGN = Path(__file__).parents[1] / "fixtures" / "foreign_bot"
ALL = list(Transport)


def marked(root: Path) -> set[tuple[str, int, str]]:
    """What the comments of the files below `root` say: `# VD160` is expected in its line."""
    found = set()
    for path in [root] if root.is_file() else root.rglob("*.py"):
        base = root.parent if root.is_file() else root
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            codes = re.findall(r"VD\d{3}", line.partition("#")[2])
            found |= {(path.relative_to(base).as_posix(), number, code) for code in codes}
    return found


def places(faults: tuple[Fault, ...]) -> set[tuple[str, int, str]]:
    return {(fault.path, fault.line, fault.code) for fault in faults}


def codes(faults: tuple[Fault, ...]) -> list[str]:
    return [fault.code for fault in faults]


@pytest.mark.parametrize("name", ["yesterday.py", "aliases.py"])
def test_a_bot_with_faults(name: str) -> None:
    assert marked(BOTS / name)
    assert places(lint(BOTS, name, Transport.WEBRTC)) == marked(BOTS / name)


def test_the_project_s_own_modules_are_read_too() -> None:
    root = BOTS / "parts"
    assert places(lint(root, "bot.py", Transport.WEBRTC)) == marked(root)


@pytest.mark.parametrize(
    ("name", "transport"),
    [
        ("minimal.py", Transport.WEBRTC),
        ("minimal.py", Transport.TWILIO),
        ("guarded.py", Transport.WEBRTC),
        ("guarded.py", Transport.DAILY),
        ("guarded.py", Transport.TWILIO),
        ("odd.py", Transport.WEBRTC),
        ("webrtc_only.py", Transport.WEBRTC),
        ("daily_only.py", Transport.DAILY),
        ("socket_only.py", Transport.WEBSOCKET),
    ],
)
def test_a_clean_bot(name: str, transport: Transport) -> None:
    assert lint(BOTS, name, transport) == ()


@pytest.mark.parametrize("transport", ALL)
@pytest.mark.parametrize("services", list(Services))
def test_bots_that_init_makes_are_clean(services: Services, transport: Transport, tmp_path: Path) -> None:
    for artifact in artifacts_of("front-desk", transport, services, "local"):
        path = tmp_path / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.text, "utf-8")
    for kind in ALL:
        assert lint(tmp_path, "bot.py", kind) == ()


def test_somebody_else_s_bot() -> None:
    """Works, but for what its author wrote about .env, and a default of Pipecat that makes every answer 20 ms later."""
    for kind in (Transport.WEBRTC, Transport.TWILIO):
        found = lint(FOREIGN, "bot.py", kind)
        assert codes(found) == ["VD168", "VD167"]
        assert {fault.severity for fault in found} == {"warning"}
        assert found[1].cost_ms == 20


@pytest.mark.parametrize(
    ("name", "transport", "expected"),
    [
        ("webrtc_only.py", Transport.DAILY, ["VD210"]),
        ("webrtc_only.py", Transport.TWILIO, ["VD210"]),
        ("daily_only.py", Transport.WEBRTC, ["VD210"]),
        ("daily_only.py", Transport.LIVEKIT, ["VD210"]),
        ("socket_only.py", Transport.WEBRTC, ["VD210"]),
        ("socket_only.py", Transport.PLIVO, []),
        ("guarded.py", Transport.LIVEKIT, []),
        ("guarded.py", Transport.TELNYX, ["VD211"]),
        ("minimal.py", Transport.DAILY, ["VD211"]),
        ("minimal.py", Transport.WEBSOCKET, ["VD211"]),
        ("unfit.py", Transport.DAILY, ["VD212"]),
        ("unfit.py", Transport.TWILIO, ["VD212"]),
        ("unfit.py", Transport.WEBSOCKET, ["VD212"]),
        ("unfit.py", Transport.WEBRTC, []),
        ("unfit.py", Transport.LIVEKIT, ["VD163", "VD212"]),
    ],
)
def test_another_transport(name: str, transport: Transport, expected: list[str]) -> None:
    errors = [fault for fault in lint(BOTS, name, transport) if fault.severity == "error"]
    assert codes(tuple(errors)) == expected


def test_what_is_read_of_the_arguments_is_named() -> None:
    (fault,) = lint(BOTS, "webrtc_only.py", Transport.DAILY)
    assert (fault.path, fault.line) == ("webrtc_only.py", 14)
    assert "`runner_args.webrtc_connection`" in fault.message
    assert "isinstance(runner_args, SmallWebRTCRunnerArguments)" in fault.fix


def test_errors_come_first() -> None:
    severities = [fault.severity for fault in lint(BOTS, "yesterday.py", Transport.WEBRTC)]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


@pytest.mark.parametrize(
    "text", ["async def bot(:\n", "\0", "\xff\xfe", "", "x = " + "(" * 300, "bot = 1\n", "# -*- x"]
)
def test_files_that_are_no_bot(text: str, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(text, "latin-1")
    assert lint(tmp_path, "bot.py", Transport.WEBRTC) == ()
    assert lint(tmp_path, "gone.py", Transport.WEBRTC) == ()


def test_no_python_of_this_machine_breaks_it(tmp_path: Path) -> None:
    """The standard library's own tests have the oddest Python there is; none of it is a bot."""
    import ast

    library = Path(ast.__file__).parent
    files = [*sorted(library.glob("a*.py")), *sorted((library / "asyncio").glob("*.py"))]
    files += sorted((library / "test").glob("test_[p-t]*.py"))[:25]
    for file in files:
        shutil.copy(file, tmp_path / "bot.py")
        assert codes(lint(tmp_path, "bot.py", Transport.WEBRTC)) == [], file


def test_a_small_project_is_read_in_a_moment() -> None:
    lint(BOTS, "yesterday.py", Transport.WEBRTC)
    best = min(_seconds() for _ in range(5))
    assert best < 0.3


def _seconds() -> float:
    began = time.perf_counter()
    lint(BOTS / "parts", "bot.py", Transport.WEBRTC)
    return time.perf_counter() - began
