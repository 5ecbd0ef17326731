"""What goes into an image: looked at in the bytes that would be uploaded."""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from voicedeploy_providers.pipecat_cloud.context import Context, Recipe, artifacts, pack

from tests.providers.pipecat_cloud.folders import KEY, NASTY, OTHER, SECRET, negations, odd_names, plain, write
from tests.providers.pipecat_cloud.standin.images import build
from voicedeploy.errors import NotReady
from voicedeploy.spec import Spec, load

RECIPE = Recipe("front-desk", "us-west", min_agents=0, max_agents=4, secret_set="front-desk")  # noqa: S106


def project(root: Path, make: Callable[[Path], None] | None = None) -> Spec:
    root.mkdir(exist_ok=True)
    plain(root)
    if make:
        make(root)
    return load(root / "voicedeploy.toml")


def packed(spec: Spec) -> Context:
    return pack(spec, artifacts(spec, RECIPE))


def members(context: Context) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(context.packed)) as tar:
        assert all(m.isfile() and m.uid == m.gid == m.mtime == 0 and not m.uname for m in tar)
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m))}


@pytest.mark.parametrize("make", NASTY, ids=lambda make: make.__name__)
def test_nothing_that_must_not_leave_is_in_the_bytes(tmp_path: Path, make: Callable[[Path], None]) -> None:
    spec = project(tmp_path / "bot", make)
    context = packed(spec)
    whole = gzip.decompress(context.packed)
    for secret in (SECRET, OTHER, KEY[40:80]):
        assert secret.encode() not in whole
    there = members(context)
    assert there.keys() == set(context.files)
    assert {"bot.py", "requirements.txt", "Dockerfile"} <= there.keys()
    assert not {".env", ".dockerignore", "pcc-deploy.toml"} & there.keys()
    assert there["Dockerfile"].startswith(b"# Rendered by voicedeploy")
    assert context.size == sum(map(len, there.values()))
    assert context.size < 100_000


@pytest.mark.parametrize("make", NASTY, ids=lambda make: make.__name__)
def test_the_same_files_are_the_same_bytes_wherever_and_whenever(tmp_path: Path, make: Callable[[Path], None]) -> None:
    first = packed(project(tmp_path / "a", make))
    (tmp_path / "elsewhere").mkdir()
    spec = project(tmp_path / "elsewhere" / "b", make)
    os.utime(spec.root / "bot.py", (1, 1))
    (spec.root / "requirements.txt").chmod(0o600)
    assert packed(spec).packed == first.packed
    assert len(first.hash) == 16
    write(spec.root, "bot.py", "async def bot(args): ...")
    assert packed(spec).hash != first.hash


def test_what_is_needed_is_there_though_other_tools_would_lose_it(tmp_path: Path) -> None:
    there = members(packed(project(tmp_path / "bot", NASTY[-1])))
    assert {"build/lib/bot.py", "env/notes.txt", "voices/hello.txt"} <= there.keys()
    assert members(packed(project(tmp_path / "odd", odd_names))).keys() >= {"voices/größe ☎.txt", "voices/-rf"}


def test_an_executable_stays_one(tmp_path: Path) -> None:
    spec = project(tmp_path / "bot")
    write(spec.root, "pre-app.sh", "true")
    (spec.root / "pre-app.sh").chmod(0o700)
    with tarfile.open(fileobj=io.BytesIO(packed(spec).packed)) as tar:
        assert tar.getmember("pre-app.sh").mode == 0o755
        assert tar.getmember("bot.py").mode == 0o644


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("settings.py", f'API_KEY = "{SECRET}"', "the value of OPENAI_API_KEY"),
        ("ssh.txt", KEY, "a private key"),
        ("voices/key.txt", "  x\n" + KEY.replace("OPENSSH", "EC"), "a private key"),
        ("app.py", "x = 1", "a file of its own"),
        ("pcc_observers.py", "x = 1", "a file of its own"),
    ],
)
def test_what_is_found_in_the_bytes_is_refused_by_its_name(tmp_path: Path, name: str, text: str, said: str) -> None:
    spec = project(tmp_path / "bot")
    write(spec.root, name, text)
    with pytest.raises(NotReady, match=said) as refused:
        packed(spec)
    assert name in refused.value.message
    assert refused.value.hint
    assert SECRET not in f"{refused.value} {refused.value.hint}"


def test_a_program_that_speaks_of_keys_is_fine(tmp_path: Path) -> None:
    spec = project(tmp_path / "bot")
    write(spec.root, "keys.py", 'HEAD = "-----BEGIN PRIVATE KEY-----"\nif text.startswith(HEAD): ...\n')
    assert "keys.py" in packed(spec).files


def test_too_much_is_refused_with_the_way_out(tmp_path: Path) -> None:
    spec = project(tmp_path / "bot")
    with (spec.root / "model.bin").open("wb") as file:
        file.truncate(600 * 2**20)
    with pytest.raises(NotReady, match="600 MiB") as refused:
        packed(spec)
    assert ".dockerignore" in refused.value.hint


def test_the_size_is_told(tmp_path: Path) -> None:
    context = packed(project(tmp_path / "bot"))
    assert context.told.startswith(f"{len(context.files)} files, ")
    assert context.told.endswith("KiB packed")


def test_the_rendered_files_do_not_change_what_a_release_is(tmp_path: Path) -> None:
    """Rendered into the folder itself, as for the vendor's tool, they make the same context again."""
    for make in NASTY:
        spec = project(tmp_path / make.__name__, make)
        made = artifacts(spec, RECIPE)
        first = pack(spec, made)
        for artifact in made:
            write(spec.root, artifact.path, artifact.text)
        assert pack(spec, artifacts(spec, RECIPE)).files == first.files
        assert pack(spec, made).packed == first.packed


def test_a_dockerfile_for_each_way_of_saying_what_is_needed(tmp_path: Path) -> None:
    def dockerfile(spec: Spec) -> str:
        return artifacts(spec, RECIPE)[0].text

    spec = project(tmp_path / "bot")
    assert "COPY requirements.txt ./\nRUN uv pip install -r requirements.txt\nCOPY . ./" in dockerfile(spec)
    assert "FROM dailyco/pipecat-base:0.1.27\n" in dockerfile(spec)
    write(
        spec.root,
        "pyproject.toml",
        '[project]\nname = "a"\nversion = "1"\n[project.optional-dependencies]\nwebrtc=[]\n',
    )
    assert "RUN uv sync --inexact --no-dev --no-install-project --extra webrtc\n" in dockerfile(spec)
    write(spec.root, "uv.lock", "version = 1\n")
    assert "COPY pyproject.toml uv.lock ./\n" in dockerfile(spec)
    assert "--no-install-project --frozen --extra webrtc\n" in dockerfile(spec)
    write(spec.root, "voicedeploy.toml", '[bot]\nname = "front-desk"\npython = "3.13"\n')
    assert "FROM dailyco/pipecat-base:0.1.27-py3.13\n" in dockerfile(load(spec.file))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements.txt", "-r more.txt\npipecat-ai==1.14.0\n"),
        ("requirements.txt", "pipecat-ai==1.14.0\n./libs/tools\n"),
        ("pyproject.toml", '[project]\nname = "a"\n[tool.uv.sources]\ntools = { path = "libs/tools" }\n'),
        ("pyproject.toml", '[project]\nname = "a"\n[tool.uv.sources]\ntools.workspace = true\n'),
    ],
)
def test_packages_that_are_made_of_other_files_have_those_first(tmp_path: Path, file: str, text: str) -> None:
    spec = project(tmp_path / "bot")
    write(spec.root, file, text)
    lines = artifacts(spec, RECIPE)[0].text.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["COPY", "RUN"]
    assert lines[-2] == "COPY . ./" and sum(line.startswith("COPY") for line in lines) == 1


def test_a_lock_file_of_the_project_alone_is_copied_first(tmp_path: Path) -> None:
    spec = project(tmp_path / "bot")
    write(spec.root, "pyproject.toml", '[project]\nname = "a"\nversion = "1"\n')
    write(spec.root, "uv.lock", '[[package]]\nname = "a"\nsource = { virtual = "." }\n')
    assert "COPY pyproject.toml uv.lock ./" in artifacts(spec, RECIPE)[0].text
    write(spec.root, "uv.lock", '[[package]]\nname = "tools"\nsource = { editable = "libs/tools" }\n')
    assert "COPY pyproject.toml" not in artifacts(spec, RECIPE)[0].text


def test_a_bot_that_is_not_bot_py_is_found_by_the_platform(tmp_path: Path) -> None:
    spec = project(tmp_path / "bot")
    shutil.move(spec.root / "bot.py", spec.root / "voices" / "desk.py")
    write(spec.root, "voices/desk.py", "import beside\n\nasync def bot(args):\n    return beside.ANSWER\n")
    write(spec.root, "voices/beside.py", "ANSWER = 42\n")
    write(spec.root, "voicedeploy.toml", '[bot]\nname = "front-desk"\nentry = "voices/desk.py"\n')
    context = packed(load(spec.file))
    for name, content in members(context).items():
        (tmp_path / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "app" / name).write_bytes(content)
    code = "import asyncio, bot; print(asyncio.run(bot.bot(None)), hasattr(bot, 'readyz'))"
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "app", capture_output=True, text=True)
    assert said.stdout == "42 False\n", said.stderr
    write(spec.root, "bot.py", "old = True\n")
    with pytest.raises(NotReady, match=r"bot\.py"):
        packed(load(spec.file))


SOCKET = """
import os
from types import SimpleNamespace
import bot, asyncio
for args in (SimpleNamespace(websocket=1, transport_type=None), SimpleNamespace(websocket=1), SimpleNamespace(),
             SimpleNamespace(websocket=1, transport_type="twilio")):
    asyncio.run(bot.bot(args))
print(bot.helper(), bot.readyz(), os.path.basename(bot.__file__), os.path.basename(bot.HERE))
"""


@pytest.mark.parametrize("entry", ["bot.py", "voices/desk.py"])
def test_a_plain_socket_is_named_to_the_bot_which_the_platform_does_not(tmp_path: Path, entry: str) -> None:
    """Without that, Pipecat looks for a carrier's messages on it, and the bot dies of the first sound."""
    spec = project(tmp_path / "bot")
    (spec.root / "bot.py").unlink()
    code = "HERE = __file__\ndef helper():\n    return 42\ndef readyz():\n    return True\n"
    write(spec.root, entry, code + "async def bot(args):\n    print(getattr(args, 'transport_type', 'none'))\n")
    write(
        spec.root,
        "voicedeploy.toml",
        f'[bot]\nname = "front-desk"\nentry = "{entry}"\n[transport]\nkind = "websocket"\n',
    )
    context, app = packed(load(spec.file)), tmp_path / "app"
    for name, content in members(context).items():
        (tmp_path / "context" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "context" / name).write_bytes(content)
    build(tmp_path / "context", "Dockerfile", app, [])
    said = subprocess.run([sys.executable, "-c", SOCKET], cwd=app, capture_output=True, text=True)
    lines = said.stdout.splitlines()
    assert lines[:4] == ["websocket", "websocket", "none", "twilio"], said.stderr
    if entry == "bot.py":
        assert lines[4] == "42 True bot.py bot.py"


def test_an_own_ignore_file_still_says_what_is_the_bot(tmp_path: Path) -> None:
    there = members(packed(project(tmp_path / "bot", negations)))
    assert "notes.md" not in there and "voices/hello.txt" in there
