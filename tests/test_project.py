"""Which files are a release, and what it is called."""

import os
from pathlib import Path

import pytest

from voicedeploy import project
from voicedeploy.errors import NotReady


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "bot.py": "async def bot(runner_args): ...",
        "voices/hello.txt": "hi",
        ".env": "KEY=s3cret",
        ".env.local": "KEY=s3cret",
        ".env.example": "KEY=",
        "server.pem": "s3cret",
        ".git/HEAD": "ref",
        "data/big.bin": "x",
        "notes.md": "n",
        "__pycache__/bot.pyc": "x",
        "requirements.txt": "pipecat-ai==1.14.0",
        ".gitignore": "data/\n",
        "rendered/.gitignore": "*\n",
        "rendered/front.toml": "x",
        ".dockerignore": "*.md\nrequirements.txt\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = tmp_path / "oddly-named"
    (environment / "lib").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    (environment / "lib" / "x.py").touch()
    return tmp_path


def test_secrets_environments_and_ignored_files_stay_out(root: Path) -> None:
    assert project.files(root) == (
        ".dockerignore",
        ".env.example",
        ".gitignore",
        "bot.py",
        "requirements.txt",
        "voices/hello.txt",
    )


def test_a_link_out_of_the_project_stays_out(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("elsewhere") / "id_ed25519"
    outside.write_text("s3cret")
    (root / "key.txt").symlink_to(outside)
    assert "key.txt" not in project.files(root)


@pytest.mark.parametrize("name", [".env", "server.pem", "oddly-named/lib/x.py", ".git/HEAD"])
def test_a_link_to_what_never_leaves_stays_out_too(root: Path, name: str) -> None:
    (root / "config.txt").symlink_to(root / name)
    assert "config.txt" not in project.files(root)
    (root / "greeting.txt").symlink_to(root / "voices/hello.txt")
    assert "greeting.txt" in project.files(root)


def test_a_folder_that_docker_keeps_is_kept_with_what_is_in_it(root: Path) -> None:
    (root / ".dockerignore").write_text("*\n!bot.py\n!voices/\n!.env\n")
    (root / "voices/.env").write_text("KEY=s3cret")
    assert project.files(root) == ("bot.py", "requirements.txt", "voices/hello.txt")


def test_names_and_ignore_files_of_any_bytes(root: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.txt")
    (root / odd).write_text("x")
    (root / ".gitignore").write_bytes(b"\xef\xbb\xbfdata/\n# \xe9\n")
    assert odd in project.files(root)
    assert "data/big.bin" not in project.files(root)
    assert len(project.release(root, project.files(root))) == 7


def test_the_same_files_make_the_same_release(root: Path) -> None:
    first = project.release(root, project.files(root), "settings")
    assert first == project.release(root, project.files(root), "settings")
    assert len(first) == 7


@pytest.mark.parametrize("change", ["content", "name", "settings", "ignored"])
def test_a_release_changes_with_what_it_holds(root: Path, change: str) -> None:
    before = project.release(root, project.files(root), "settings")
    settings = "settings"
    match change:
        case "content":
            (root / "bot.py").write_text("async def bot(args): ...")
        case "name":
            (root / "voices/hello.txt").rename(root / "voices/hallo.txt")
        case "settings":
            settings = "other"
        case "ignored":
            (root / "data/big.bin").write_text("y")
    after = project.release(root, project.files(root), settings)
    assert (before == after) == (change == "ignored")


def test_a_project_that_is_too_big_is_refused_with_the_way_out(root: Path) -> None:
    with (root / "voices/huge.wav").open("wb") as file:
        file.truncate(201 * 2**20)
    with pytest.raises(NotReady) as caught:
        project.files(root)
    assert ".dockerignore" in caught.value.hint


def test_where_dependencies_come_from(root: Path) -> None:
    assert project.dependencies(root).source is project.Source.REQUIREMENTS
    (root / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    assert project.dependencies(root).source is project.Source.PYPROJECT
    (root / "uv.lock").write_text("version = 1\n")
    assert project.dependencies(root).locked


def test_an_environment_is_shared_until_its_files_change(root: Path) -> None:
    needs = project.dependencies(root)
    before = needs.digest(root, "3.12")
    (root / "bot.py").write_text("changed")
    assert needs.digest(root, "3.12") == before
    assert needs.digest(root, "3.13") != before
    (root / "requirements.txt").write_text("pipecat-ai==1.14.1")
    assert needs.digest(root, "3.12") != before


def test_no_dependencies_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotReady) as caught:
        project.dependencies(tmp_path)
    assert "requirements.txt" in caught.value.hint
