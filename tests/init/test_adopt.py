import hashlib
import shutil
from pathlib import Path

import pytest

from voicedeploy import spec
from voicedeploy.errors import NotReady, UsageError
from voicedeploy.init import adopt
from voicedeploy.network import Transport
from voicedeploy.project import Source

FOREIGN = Path(__file__).parent.parent / "fixtures" / "foreign_bot"
BOT = "async def bot(runner_args):\n    pass\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "my_bot"
    folder.mkdir()
    return folder


def a_bot(root: Path, path: str = "bot.py", code: str = BOT) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(code)


def requirements(root: Path) -> None:
    (root / "requirements.txt").write_text("pipecat-ai[webrtc]==1.14.0\n")


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_foreign_bot(root: Path) -> None:
    shutil.copytree(FOREIGN, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".env").write_text("ORDERS_API_KEY=x\n")
    before = digests(root)
    adopted = adopt(root)
    after = digests(root)
    assert after.keys() - before.keys() == {"voicedeploy.toml"}
    assert {name: after[name] for name in before} == before
    assert adopted.name == "my-bot"
    assert adopted.entry == "bot.py"
    assert adopted.transport is Transport.WEBRTC
    assert adopted.transports == (Transport.WEBRTC, Transport.TWILIO)
    assert adopted.secrets == ("ORDERS_API_KEY",)
    assert adopted.dependencies.source is Source.REQUIREMENTS
    assert [note.split(":")[0] for note in adopted.notes] == [
        "requirements.txt is not locked",
        ".env stays on this machine",
    ]
    loaded = spec.load(root / "voicedeploy.toml")
    assert loaded.bot.name == "my-bot"
    assert loaded.bot.secrets == ("ORDERS_API_KEY",)
    assert loaded.transport.kind is Transport.WEBRTC


def test_a_second_time_is_refused(root: Path) -> None:
    a_bot(root)
    requirements(root)
    adopt(root)
    with pytest.raises(UsageError, match="project of voicedeploy already"):
        adopt(root)


def test_a_bot_in_src(root: Path) -> None:
    a_bot(root, "src/agent.py")
    requirements(root)
    assert adopt(root).entry == "src/agent.py"
    assert spec.load(root / "voicedeploy.toml").bot.entry == "src/agent.py"


def test_bot_py_wins_over_others(root: Path) -> None:
    a_bot(root)
    a_bot(root, "examples/bot.py")
    requirements(root)
    assert adopt(root).entry == "bot.py"


def test_several_bots(root: Path) -> None:
    a_bot(root, "one.py")
    a_bot(root, "two.py")
    requirements(root)
    with pytest.raises(NotReady, match=r"2 files have .*: one\.py, two\.py"):
        adopt(root)
    assert not (root / "voicedeploy.toml").exists()
    assert adopt(root, entry="two.py").entry == "two.py"


def test_an_entry_without_a_bot(root: Path) -> None:
    a_bot(root)
    a_bot(root, "main.py", "pass\n")
    requirements(root)
    with pytest.raises(NotReady, match=r"main\.py: has no") as caught:
        adopt(root, entry="main.py")
    assert "bot.py" in caught.value.hint


def test_a_folder_without_a_bot(root: Path) -> None:
    (root / "notes.txt").write_text("x")
    with pytest.raises(NotReady, match="no file in it has `async def bot"):
        adopt(root)
    assert digests(root).keys() == {"notes.txt"}


def test_a_transport_that_the_bot_does_not_serve(root: Path) -> None:
    a_bot(root, code=BOT + 'T = create_transport(runner_args, {"daily": a, "twilio": b})\n')
    requirements(root)
    with pytest.raises(NotReady, match="does not serve 'webrtc', only daily, twilio") as caught:
        adopt(root, transport=Transport.WEBRTC)
    assert 'add "webrtc"' in caught.value.hint
    assert adopt(root).transport is Transport.DAILY


def test_a_wrong_name_writes_nothing(root: Path) -> None:
    a_bot(root)
    requirements(root)
    with pytest.raises(UsageError, match="cannot be the name"):
        adopt(root, name="My_Bot")
    assert not (root / "voicedeploy.toml").exists()


PROJECT = '[project]\nname = "x"\nversion = "0"\ndependencies = []\n'


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"pyproject.toml": PROJECT, "uv.lock": ""}, Source.UV_LOCK),
        ({"pyproject.toml": PROJECT, "requirements.txt": ""}, Source.PYPROJECT),
        ({"pyproject.toml": "[tool.ruff]\n", "requirements.txt": ""}, Source.REQUIREMENTS),
        ({"requirements.txt": ""}, Source.REQUIREMENTS),
    ],
)
def test_where_dependencies_are_found(root: Path, files: dict[str, str], source: Source) -> None:
    a_bot(root)
    for name, text in files.items():
        (root / name).write_text(text)
    assert adopt(root).dependencies.source is source


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({}, "nothing says what the bot depends on", "requirements.txt"),
        ({"pyproject.toml": "[tool.poetry]\nname = 'x'\n", "poetry.lock": ""}, "only Poetry", "migrate-to-uv"),
        ({"pyproject.toml": "[tool.ruff]\n"}, "has no \\[project\\]", "requirements.txt"),
        ({"pyproject.toml": "[project\n"}, "pyproject.toml: ", "correct it"),
        ({"requirements-prod.txt": "", "Pipfile": ""}, "Pipfile, requirements-prod.txt: not a way", "uv.lock"),
    ],
)
def test_dependencies_that_nobody_can_read(root: Path, files: dict[str, str], message: str, hint: str) -> None:
    a_bot(root)
    for name, text in files.items():
        (root / name).write_text(text)
    with pytest.raises(NotReady, match=message) as caught:
        adopt(root)
    assert hint in caught.value.hint
    assert not (root / "voicedeploy.toml").exists()
