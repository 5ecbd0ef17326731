"""`switch-transport` by the real command on the local provider: what it refuses, shows, changes and puts back."""

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from voicedeploy_providers.local import Local

from tests.test_cli import Said, typed
from tests.test_packages import LOCK
from voicedeploy import spec, switching, transports
from voicedeploy.init import Services
from voicedeploy.init.make import artifacts_of
from voicedeploy.network import BoundUdp, NoUdp, Offer, OpenUdp, Transport

EXTRAS = "".join(
    f'{kind} = [{{ name = "pipecat-ai", extra = ["{transports.about(kind).extra}"] }}]\n' for kind in Transport
)
MORE = """\
[[package]]
name = "livekit"
version = "1.2.0"
[[package]]
name = "livekit-api"
version = "1.2.2"
"""
SECRETS = {name: "x" for kind in Transport for name in transports.about(kind).secrets}


@pytest.fixture(autouse=True)
def own_state(home: Path) -> Path:
    return home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project that `init` makes, with a small lock file; the secrets of every transport are set."""
    folder = tmp_path / "front-desk"
    folder.mkdir()
    for artifact in artifacts_of("front-desk", Transport.WEBRTC, Services.OFFLINE, "local"):
        (folder / artifact.path).write_text(artifact.text)
    head, _, tail = LOCK.partition("[package.optional-dependencies]\n")
    lock = head.replace('"desk"', '"front-desk"') + "[package.optional-dependencies]\n" + EXTRAS
    lock += tail.partition('plivo = [{ name = "pipecat-ai", extra = ["websocket"] }]\n')[2]
    lock = lock.replace('runner = [{ name = "fastapi" }]', 'livekit = [{ name = "livekit" }, { name = "livekit-api" }]')
    (folder / "uv.lock").write_text(lock + MORE)
    with (folder / "voicedeploy.toml").open("a") as file:
        file.write('\n[provider.local]\nport = 17861\nudp_ports = "21930-21937"\n')
    Local.configure({}).secrets("front-desk").update(SECRETS)
    return folder


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): f"{stat.S_IMODE(path.stat().st_mode):o} "
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def switched(root: Path, kind: str, *more: str) -> tuple[Said, dict[str, Any]]:
    said = typed("switch-transport", kind, "--json", *more, cwd=root)
    return said, json.loads(said.stdout)


@pytest.mark.parametrize("kind", [kind for kind in Transport if kind is not Transport.WEBRTC])
def test_a_dry_run_shows_everything_and_changes_nothing(root: Path, home: Path, kind: Transport) -> None:
    before, state = tree(root), tree(home)
    said, answer = switched(root, kind, "--dry-run")
    assert said.returncode == 0, said
    assert (tree(root), tree(home)) == (before, state)
    assert (answer["from"], answer["to"]) == ("webrtc", kind)
    assert answer["edited"].endswith(f'kind = "{kind}"')
    changes = {change["subject"]: change["message"] for change in answer["changes"]}
    about = transports.about(kind)
    assert changes["packages"].startswith(f"- pipecat-ai[webrtc]   + {about.requirement} ")
    assert changes["ports"].startswith("no UDP range any more")
    assert changes["secrets"] == (", ".join(about.secrets) or "none")
    assert about.bills in changes["cost"] and changes["callers"] and changes["proxy"]
    sync = next(step["action"]["argv"] for step in answer["steps"] if step["summary"].startswith("environment"))
    assert sync[sync.index("--extra") + 1] == kind
    settings = next(step["action"]["content"] for step in answer["steps"] if step["summary"].startswith("settings"))
    assert f'kind = "{kind}"' in settings and 'udp_ports = ""' in settings
    upload = next(step["action"] for step in answer["steps"] if step["action"]["kind"] == "upload")
    assert upload["from"] == str(root)
    assert kind in typed("switch-transport", kind, "--dry-run", cwd=root).stdout.splitlines()[0]


def test_the_plan_of_a_dry_run_is_that_of_the_up_that_follows(root: Path) -> None:
    def plan(answer: dict[str, Any]) -> dict[str, Any]:
        for step in answer["steps"]:
            if step["summary"].startswith("record"):
                del step["action"]["content"]  # it has the time
        return {key: answer[key] for key in ("have", "want", "steps")}

    _, answer = switched(root, "daily", "--dry-run")
    file = root / "voicedeploy.toml"
    file.write_text(file.read_text().replace('kind = "webrtc"', 'kind = "daily"'))
    assert plan(answer) == plan(json.loads(typed("up", "--dry-run", "--json", cwd=root).stdout))


def test_the_proof_is_left_out_only_where_that_is_asked_for(root: Path) -> None:
    def proofs(*more: str) -> list[str]:
        _, answer = switched(root, "websocket", "--dry-run", *more)
        return [step["summary"] for step in answer["steps"] if step["action"]["kind"] == "prove"]

    assert len(proofs()) == 1 and proofs("--no-call") == []
    said, error = switched(root, "websocket", "--dry-run", "--i-tested-udp", "--no-call")
    assert (said.returncode, error["error"]["code"]) == (2, "usage")


def test_it_stands_as_it_was_where_the_up_is_refused(root: Path) -> None:
    Local.configure({}).secrets("front-desk").update({"TWILIO_AUTH_TOKEN": None})
    file = root / "voicedeploy.toml"
    file.chmod(0o640)
    before, written = tree(root), file.stat().st_mtime_ns
    said, answer = switched(root, "twilio", "--yes")
    assert said.returncode == 3
    assert "TWILIO_AUTH_TOKEN" in answer["error"]["message"]
    assert tree(root) == before
    assert file.stat().st_mtime_ns > written, "it was edited, and put back"


def test_a_transport_whose_packages_are_not_locked_is_refused_with_what_to_type(small_project: Path) -> None:
    before = tree(small_project)
    refused = typed("switch-transport", "websocket", "--yes", cwd=small_project)
    assert refused.returncode == 3
    assert "pipecat-ai[webrtc,websocket]==1.14.0 in requirements.txt" in refused.stderr
    assert tree(small_project) == before


ONE_WAY = """\
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

PARAMS = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2)


async def bot(runner_args):
    transport = SmallWebRTCTransport(webrtc_connection=runner_args.webrtc_connection, params=PARAMS)
    await converse(transport)
"""


def test_a_bot_that_cannot_do_it_is_named_by_line_with_its_patch(root: Path) -> None:
    (root / "bot.py").write_text(ONE_WAY)
    before = tree(root)
    refused = typed("switch-transport", "daily", "--yes", cwd=root)
    assert refused.returncode == 3
    assert "the bot is not ready for `daily`" in refused.stderr and "--patch" in refused.stderr
    assert "bot.py:8: VD210" in refused.stderr
    assert "+++ b/bot.py" in refused.stdout and "isinstance(runner_args" in refused.stdout
    _, answer = switched(root, "daily", "--yes")
    assert "bot.py:8" in answer["error"]["message"] and "+++ b/bot.py" in answer["error"]["message"]
    assert tree(root) == before
    assert switched(root, "webrtc", "--dry-run")[0].returncode == 0


def test_patches_are_applied_only_when_asked_and_taken_back_where_it_is_refused(root: Path) -> None:
    (root / "bot.py").write_text(ONE_WAY)
    before = tree(root)
    said, answer = switched(root, "daily", "--dry-run", "--patch")
    assert (said.returncode, answer["patched"]) == (0, ["bot.py"])
    assert tree(root) == before, "a dry run tries it on a copy"
    Local.configure({}).secrets("front-desk").update({"DAILY_API_KEY": None})
    refused = typed("switch-transport", "daily", "--yes", "--patch", cwd=root)
    assert refused.returncode == 3 and "bot.py patched" in refused.stdout
    assert tree(root) == before


def test_an_interruption_before_anything_was_done_leaves_no_trace(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Local, "plan", interrupted)
    before = tree(root)
    assert typed("switch-transport", "daily", "--yes", cwd=root).returncode == 130
    assert tree(root) == before


def test_once_something_changed_the_spec_says_what_was_wanted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voicedeploy.errors import StepFailed

    def fails(*_: object) -> str:
        raise StepFailed("the disk is full")

    monkeypatch.setattr("voicedeploy_providers.local.machine.Machine.perform", fails)
    failed = typed("switch-transport", "daily", "--yes", cwd=root)
    assert failed.returncode == 4
    assert 'kind = "daily"' in (root / "voicedeploy.toml").read_text()
    assert "the way back: voicedeploy switch-transport webrtc" in failed.stderr


def test_the_transport_it_has_already_is_an_up(root: Path) -> None:
    _, answer = switched(root, "webrtc", "--dry-run")
    assert answer["edited"] == "" and answer["steps"]
    assert {"subject": "packages", "message": "as before"} in answer["changes"]


def test_unknown_names_and_helping_hints(root: Path) -> None:
    said, answer = switched(root, "smoke-signals")
    assert said.returncode == 2 and "twilio" in answer["error"]["hint"]


def test_files_are_written_whole_and_keep_their_mode(tmp_path: Path) -> None:
    file = tmp_path / "voicedeploy.toml"
    file.write_bytes(b"a\r\n")
    file.chmod(0o604)
    files = switching.Files()
    files.write(file, b"b\n")
    files.write(file, b"c\n")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), files.changed) == (b"c\n", 0o604, True)
    files.restore()
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), files.changed) == (b"a\r\n", 0o604, False)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["voicedeploy.toml"]


def test_a_copy_makes_the_same_release(root: Path) -> None:
    from voicedeploy import project

    (root / ".env").write_text("SECRET=1\n")
    (root / "sub").mkdir()
    (root / "sub" / "data.txt").write_text("x")
    (root / "sub" / "link.txt").symlink_to("data.txt")
    with switching.staged(spec.load(root / "voicedeploy.toml")) as copy:
        names = project.files(copy.parent)
        assert names == project.files(root) and ".env" not in names
        assert project.release(copy.parent, names) == project.release(root, names)
    assert not copy.parent.exists()


@pytest.mark.parametrize("kind", list(Transport))
def test_what_changes_is_told_for_every_pair(root: Path, kind: Transport) -> None:
    from voicedeploy.cli.options import with_kind

    relay = '[transport]\nturn = [{ urls = "turn:t.example.org", username = "u", credential = "c" }]\n'
    file = root / "voicedeploy.toml"
    file.write_text(file.read_text().replace("[transport]\n", relay))
    old = spec.load(file)
    for other in Transport:
        offer = Offer(OpenUdp("20000-20007")) if kind is Transport.WEBRTC else Offer(NoUdp("none is asked for"))
        said = {
            change.subject: change.message
            for change in switching.changes(
                with_kind(old, other), with_kind(old, kind), offer, (), "https://x.example/"
            )
        }
        assert list(said) == ["packages", "ports", "proxy", "turn", "secrets", "callers", "cost"]
        assert ("20000-20007" in said["ports"]) == (kind is Transport.WEBRTC)
        assert said["turn"].startswith("1 servers" if kind is Transport.WEBRTC else f"`{kind}` uses none")
        assert "{url}" not in said["callers"] and "https://x.example/" in said["callers"]
        assert said["secrets"].count("(not set)") == len(transports.about(kind).secrets)


def test_where_packets_come_to_an_address_of_their_own_no_firewall_is_spoken_of(root: Path) -> None:
    from voicedeploy.cli.options import with_kind

    new = with_kind(spec.load(root / "voicedeploy.toml"), Transport.WEBRTC)
    offer = Offer(BoundUdp("some ports", "", "at an address of its own", ready=True))
    said = {change.subject: change.message for change in switching.changes(new, new, offer, (), "")}
    assert said["ports"] == "UDP for calls: some ports, at an address of its own"
