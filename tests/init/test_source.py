from pathlib import Path

import pytest

from voicedeploy.errors import NotReady
from voicedeploy.init import source
from voicedeploy.network import Transport

BOT = "async def bot(runner_args):\n    "


def transports(root: Path, code: str) -> tuple[Transport, ...]:
    (root / "bot.py").write_text(code)
    return source.read(root, root / "bot.py").transports


def secrets(root: Path, code: str) -> tuple[str, ...]:
    (root / "bot.py").write_text(code)
    return source.read(root, root / "bot.py").secrets


def test_transports_of_a_table_in_the_call(tmp_path: Path) -> None:
    code = BOT + 'await create_transport(runner_args, {"webrtc": a, "twilio": b, "vonage": c})\n'
    assert transports(tmp_path, code) == (Transport.WEBRTC, Transport.TWILIO)


@pytest.mark.parametrize("table", ['TABLE = {"daily": a}\n', 'TABLE: dict[str, object] = {"daily": a}\n'])
def test_transports_of_a_table_with_a_name(tmp_path: Path, table: str) -> None:
    assert transports(tmp_path, table + BOT + "await utils.create_transport(runner_args, TABLE)\n") == (
        Transport.DAILY,
    )


def test_transports_of_a_bot_that_makes_them_itself(tmp_path: Path) -> None:
    code = "from x import LiveKitTransport, DailyTransport\n" + BOT + "DailyTransport(runner_args.room_url)\n"
    assert transports(tmp_path, code) == (Transport.DAILY,), "an import alone is no use"
    assert transports(tmp_path, BOT + "run(runner_args.webrtc_connection)\n") == (Transport.WEBRTC,)
    assert transports(tmp_path, BOT + "pass\n") == ()


def test_what_an_imported_module_says_counts(tmp_path: Path) -> None:
    (tmp_path / "src" / "app").mkdir(parents=True)
    (tmp_path / "src" / "app" / "__init__.py").write_text("")
    (tmp_path / "src" / "app" / "keys.py").write_text('import os\nKEY = os.environ["DEEP_KEY"]\n')
    (tmp_path / "src" / "app" / "pipe.py").write_text("from . import keys\nfrom .keys import KEY\n")
    (tmp_path / "stray.py").write_text('import os\nKEY = os.environ["STRAY_KEY"]\n')
    (tmp_path / "bot.py").write_text("import app.pipe\n" + BOT + "pass\n")
    assert source.read(tmp_path, tmp_path / "bot.py").secrets == ("DEEP_KEY",)


def test_secrets(tmp_path: Path) -> None:
    code = """
import os
from os import environ, getenv
A = os.environ["A_KEY"]
B = getenv("B_URL")
C = environ.get("C_TOKEN", "")
D = os.getenv("D_MODEL", "small")
E = os.getenv("LOG_LEVEL")
F = os.getenv("PIPECAT_ICE_SERVERS")
os.environ["WRITTEN"] = "x"
G = settings.get("NOT_ENVIRONMENT_KEY")
H = os.environ["A_KEY"]
"""
    assert secrets(tmp_path, code) == ("A_KEY", "B_URL", "C_TOKEN")


def test_entries(tmp_path: Path) -> None:
    for name in ("bot.py", "src/app/server.py", ".venv/lib/bot.py", "tests/bot.py", "other/venv/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(BOT + "pass\n")
    (tmp_path / "other" / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "sync.py").write_text("def bot(runner_args): pass\n")
    (tmp_path / "bare.py").write_text("async def bot(): pass\n")
    (tmp_path / "method.py").write_text("class A:\n    async def bot(self): pass\n")
    (tmp_path / "python2.py").write_text("print 'hello'\n")
    found = [path.relative_to(tmp_path).as_posix() for path in source.entries(tmp_path)]
    assert found == ["bot.py", "src/app/server.py"]


def test_a_bot_that_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("async def bot(runner_args):\n  x = (\n")
    with pytest.raises(NotReady, match=r"bot\.py:2: .*never closed"):
        source.entries(tmp_path)


def test_source_is_never_executed(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("raise SystemExit('executed')\n" + BOT + "pass\n")
    assert source.entries(tmp_path) == [tmp_path / "bot.py"]
    source.read(tmp_path, tmp_path / "bot.py")
