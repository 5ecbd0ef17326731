"""Patches: applied they take the fault away, by us and by `patch`, and nothing is written over what has changed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lint.rows import ROWS
from voicedeploy.errors import NotReady
from voicedeploy.lint import Fault, apply, lint
from voicedeploy.lint.patches import Edit, diff
from voicedeploy.network import Transport

BOTS = Path(__file__).parent / "bots"
KINDS = (Transport.WEBRTC, Transport.DAILY, Transport.WEBSOCKET, Transport.TELNYX)
NAMES = (
    "yesterday.py",
    "aliases.py",
    "webrtc_only.py",
    "daily_only.py",
    "apart.py",
    "minimal.py",
    "guarded.py",
    "parts/bot.py",
    "unfit.py",
)
CASES = [(name, kind) for name in NAMES for kind in KINDS]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, Transport]:
    """A copy of a bot, in a project of its own."""
    name, kind = request.param
    folder, _, file = name.rpartition("/")
    shutil.copytree(BOTS / folder, tmp_path / "project") if folder else shutil.copytree(BOTS, tmp_path / "project")
    return tmp_path / "project", file, kind


def same(fault: Fault, other: Fault) -> bool:
    """The same fault, wherever its line is now."""
    return (fault.code, fault.path, fault.message) == (other.code, other.path, other.message)


def test_each_patch_takes_its_fault_away(case: tuple[Path, str, Transport], tmp_path: Path) -> None:
    root, entry, kind = case
    before = lint(root, entry, kind)
    for number, fault in enumerate(before):
        if not fault.patch:
            continue
        copy = tmp_path / str(number)
        shutil.copytree(root, copy)
        assert apply(copy, [fault]) == [fault.path]
        compile((copy / fault.path).read_bytes(), fault.path, "exec", dont_inherit=True)
        after = lint(copy, entry, kind)
        left = sum(same(fault, other) for other in after)
        assert left < sum(same(fault, other) for other in before)
        assert [new for new in after if new.severity == "error" and not any(same(new, old) for old in before)] == []


def test_all_patches_end_in_a_bot_without_faults_that_have_one(case: tuple[Path, str, Transport]) -> None:
    root, entry, kind = case
    for _ in range(4):
        faults = lint(root, entry, kind)
        if not any(fault.patch for fault in faults):
            break
        assert apply(root, faults)
    assert [fault for fault in faults if fault.patch] == []
    assert apply(root, faults) == []
    assert lint(root, entry, kind) == faults


def test_the_program_patch_does_the_same(case: tuple[Path, str, Transport], tmp_path: Path) -> None:
    root, entry, kind = case
    for number, fault in enumerate(lint(root, entry, kind)):
        if not fault.patch:
            continue
        ours, theirs, git = (tmp_path / f"{who}{number}" for who in ("ours", "theirs", "git"))
        for copy in (ours, theirs, git):
            shutil.copytree(root, copy)
        apply(ours, [fault])
        wanted = (ours / fault.path).read_bytes()
        for command, copy in ((["patch", "-p1", "--fuzz=0"], theirs), (["git", "apply", "-"], git)):
            subprocess.run(command, cwd=copy, input=fault.patch.encode(), check=True, capture_output=True)
            assert (copy / fault.path).read_bytes() == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_patches_of_single_lines(row: object, tmp_path: Path) -> None:
    line, before = getattr(row, "line", ""), getattr(row, "before", "")
    (tmp_path / "bot.py").write_text(f"{before}\nx = 1\n{line}\n", "utf-8")
    (fault,) = lint(tmp_path, "bot.py", Transport.WEBRTC)
    if fault.patch:
        apply(tmp_path, [fault])
        assert fault.code not in [left.code for left in lint(tmp_path, "bot.py", Transport.WEBRTC)]


def test_a_bot_of_one_transport_becomes_one_of_several(tmp_path: Path) -> None:
    shutil.copy(BOTS / "webrtc_only.py", tmp_path / "bot.py")
    for kind in (Transport.DAILY, Transport.TWILIO, Transport.WEBSOCKET, Transport.LIVEKIT):
        for _ in range(2):
            apply(tmp_path, [fault for fault in lint(tmp_path, "bot.py", kind) if fault.severity == "error"])
    for kind in (Transport.WEBRTC, Transport.DAILY, Transport.TWILIO, Transport.WEBSOCKET, Transport.LIVEKIT):
        assert [fault for fault in lint(tmp_path, "bot.py", kind) if fault.severity == "error"] == []
    text = (tmp_path / "bot.py").read_text("utf-8")
    assert "    if isinstance(runner_args, SmallWebRTCRunnerArguments):\n        connection = " in text
    assert "serializer=ProtobufFrameSerializer()" in text
    assert text.count("import create_transport") == 1


def test_only_what_needs_the_connection_is_put_under_a_condition(tmp_path: Path) -> None:
    shutil.copy(BOTS / "apart.py", tmp_path / "bot.py")
    (fault,) = lint(tmp_path, "bot.py", Transport.DAILY)
    apply(tmp_path, [fault])
    text = (tmp_path / "bot.py").read_text("utf-8")
    assert text.endswith(
        """\

    # Used below too.
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2)
    if isinstance(runner_args, SmallWebRTCRunnerArguments):
        connection: SmallWebRTCConnection = runner_args.webrtc_connection
        transport = SmallWebRTCTransport(
            # the call's own
            webrtc_connection=connection,
            params=params,
        )  # and no more
    else:
        transport = await create_transport(runner_args, {"daily": daily_params})

    await run(transport, params)
"""
    )


# Where the patch would leave a name without a value, or cannot tell what to make instead.
UNPATCHED = {
    "the connection is used later": "    c = args.webrtc_connection\n    t = T(webrtc_connection=c)\n    print(t, c)\n",
    "no transport is made": "    print(args.webrtc_connection)\n",
    "two on a line": "    c = args.webrtc_connection; t = T(webrtc_connection=c)\n",
    "text over lines": '    t = T(args.webrtc_connection, """a\nb""")\n',
    "an attribute": "    self.t = T(args.webrtc_connection)\n",
}


@pytest.mark.parametrize("body", UNPATCHED.values(), ids=UNPATCHED)
def test_no_patch_where_it_could_break_something(body: str, tmp_path: Path) -> None:
    head = "from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport as T\nasync def bot(args):\n"
    (tmp_path / "bot.py").write_text(head + body, "utf-8")
    faults = lint(tmp_path, "bot.py", Transport.DAILY)
    assert [fault.code for fault in faults] == ["VD210"]
    assert faults[0].patch == ""
    assert faults[0].fix


# What surrounds the places where patches write.
SHAPES = {
    "on one line": 'await create_transport(a, {"webrtc": w})',
    "empty": "await create_transport(a, {})",
    "lines": 'await create_transport(a, {\n        "webrtc": w,\n    })',
    "no last comma": 'await create_transport(a, {\n        "webrtc": w\n    })',
    "a comment": 'await create_transport(a, {\n        "webrtc": w,  # and more, later\n        # here\n    })',
    "a comment and no comma": 'await create_transport(a, {\n        "webrtc": w  # , ok\n    })',
    "parentheses": 'await create_transport(a, {"webrtc": (w)})',
    "comma on one line": 'await create_transport(a, {"webrtc": w,})',
    "named": 'await create_transport(a, transport_params={"webrtc": w, "exotel": w})',
    "spread": 'await create_transport(a, {**BASE})',
    "a name": "await create_transport(a, BASE)",
    "umlauts": 'print("äöü€🙂"), await create_transport(a, {"webrtc": w})',
    "tabs": 'await create_transport(a, {\n\t\t"webrtc": w,\n\t})',
}  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("kind", [Transport.DAILY, Transport.WEBSOCKET, Transport.TELNYX])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_key_is_added_in_any_shape(shape: str, kind: Transport, newline: str, tmp_path: Path) -> None:
    text = (
        '"""Ä bot."""\nfrom pipecat.runner.utils import create_transport\n\ndef w(): ...\n\n'
        'BASE = {"webrtc": w}\n\n@str\nasync def other(): ...\n\nasync def bot(a):\n    ' + shape + "\n"
    )
    (tmp_path / "bot.py").write_bytes(text.replace("\n", newline).encode())
    (fault,) = lint(tmp_path, "bot.py", kind)
    assert fault.code == "VD211"
    assert apply(tmp_path, [fault]) == ["bot.py"]
    left = [f for f in lint(tmp_path, "bot.py", kind) if f.severity == "error"]
    assert left == []
    data = (tmp_path / "bot.py").read_bytes()
    assert newline == "\n" or data.count(b"\n") == data.count(b"\r\n")


CALLS = {
    "empty": ("TransportParams()", "audio_out_enabled=True)"),
    "one": ("TransportParams(video_in_enabled=True)", ", audio_in_enabled=True"),
    "comma": ("TransportParams(video_in_enabled=True,)", ", audio_in_enabled=True"),
    "lines": ("TransportParams(\n    video_in_enabled=True,\n)", "\n    audio_in_enabled=True"),
    "no last comma": ("TransportParams(\n    video_in_enabled=True\n)", "True,\n    audio_in_enabled=True"),
    "comments": ("TransportParams(\n    video_in_enabled=True,  # see\n    # more\n)", "audio_in_enabled=True"),
    "nested": ("TransportParams(video_in_sources=dict(a=(1)), video_in_enabled=(True))", "audio_in_enabled=True"),
}


@pytest.mark.parametrize(("call", "part"), CALLS.values(), ids=CALLS)
def test_keywords_are_added_in_any_shape(call: str, part: str, tmp_path: Path) -> None:
    head = "from pipecat.transports.base_transport import TransportParams\n"
    (tmp_path / "bot.py").write_text(f"{head}{call}\n", "utf-8")
    (fault,) = lint(tmp_path, "bot.py", Transport.WEBRTC)
    assert fault.code == "VD163"
    apply(tmp_path, [fault])
    assert part in (tmp_path / "bot.py").read_text("utf-8")
    assert [f.code for f in lint(tmp_path, "bot.py", Transport.WEBRTC)] == ["VD167"]


GONE = {
    "alone": "PipelineParams(allow_interruptions=True)",
    "first": "PipelineParams(allow_interruptions=True, enable_metrics=True)",
    "last": "PipelineParams(enable_metrics=True, allow_interruptions=True)",
    "last with a comma": "PipelineParams(enable_metrics=True, allow_interruptions=True,)",
    "on a line": "PipelineParams(\n    enable_metrics=True,  # keep\n    allow_interruptions=True,  # gone\n)",
    "on the last line": "PipelineParams(\n    enable_metrics=True,\n    allow_interruptions=True\n)",
    "at the bracket": "PipelineParams(enable_metrics=True,\n               allow_interruptions=True)",
    "before a spread": "PipelineParams(allow_interruptions=True, **{})",
}


@pytest.mark.parametrize("call", GONE.values(), ids=GONE)
def test_a_dead_keyword_is_taken_out_of_any_shape(call: str, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(f"from pipecat.pipeline.worker import PipelineParams\n{call}\n", "utf-8")
    (fault,) = lint(tmp_path, "bot.py", Transport.WEBRTC)
    apply(tmp_path, [fault])
    text = (tmp_path / "bot.py").read_text("utf-8")
    assert "allow_interruptions" not in text
    assert ("enable_metrics" in call) == ("enable_metrics" in text)
    assert ("# keep" in call) == ("# keep" in text)
    assert lint(tmp_path, "bot.py", Transport.WEBRTC) == ()


@pytest.mark.parametrize("change", ["# more\n{}", "{}# more\n", "{}\n"])
def test_a_file_that_has_changed_is_not_patched(change: str, tmp_path: Path) -> None:
    shutil.copy(BOTS / "yesterday.py", tmp_path / "bot.py")
    faults = lint(tmp_path, "bot.py", Transport.WEBRTC)
    changed = change.format((tmp_path / "bot.py").read_text("utf-8"))
    (tmp_path / "bot.py").write_text(changed, "utf-8")
    with pytest.raises(NotReady, match=r"bot\.py has changed"):
        apply(tmp_path, faults)
    assert (tmp_path / "bot.py").read_text("utf-8") == changed


def test_nothing_is_written_where_one_of_two_files_has_changed(tmp_path: Path) -> None:
    root = tmp_path / "parts"
    shutil.copytree(BOTS / "parts", root)
    faults = lint(root, "bot.py", Transport.WEBRTC)
    assert len({fault.path for fault in faults if fault.patch}) > 1
    before = (root / "audio/params.py").read_bytes()
    (root / "extra.py").unlink()
    with pytest.raises(NotReady):
        apply(root, faults)
    assert (root / "audio/params.py").read_bytes() == before


def test_a_value_that_does_something_is_left_to_its_author(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "from pipecat.pipeline.worker import PipelineParams\nPipelineParams(allow_interruptions=False)\n"
    )
    (fault,) = lint(tmp_path, "bot.py", Transport.WEBRTC)
    assert (fault.code, fault.patch) == ("VD160", "")
    assert "AlwaysUserMuteStrategy" in fault.fix


def test_a_diff_knows_files_without_a_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 2")
    patch = diff("a.py", "x = 1\ny = 2", [Edit(10, 11, "3")])
    assert "\\ No newline at end of file" in patch
    apply(tmp_path, [Fault("VD160", "error", "a.py", 2, "", "", patch)])
    assert (tmp_path / "a.py").read_text() == "x = 1\ny = 3"
