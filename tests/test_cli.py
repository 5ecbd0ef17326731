"""The command line: what it prints where, and how it ends."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from voicedeploy.cli import main


@dataclass(frozen=True)
class Said:
    returncode: int
    stdout: str
    stderr: str


def typed(*words: str, cwd: Path, stdin: str = "") -> Said:
    """The whole program, in this process: what it would print and how it would end."""
    out, err, previous = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    finally:
        sys.stdin = previous
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def own_state(home: Path) -> None:
    """Nothing here sees what really runs."""


COMMANDS = ["init", "check", "targets", "render", "up", "switch-transport", "call", "compare", "status", "logs", "down"]
COMMANDS += ["secrets", "phone", "serve"]


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    said = typed("--help", cwd=tmp_path)
    assert said.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in said.stdout
    assert "130 interrupted" in said.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(tmp_path: Path, command: str) -> None:
    assert typed(command, "--help", cwd=tmp_path).returncode == 0


def test_help_reads_no_sdk_and_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["pydantic", "httpx", "jinja2", "aiortc", "numpy", "starlette", "uvicorn", "plotly", "psutil", "asyncio"]
    heavy += ["importlib.metadata", "paramiko"]
    code = (
        "import sys; from voicedeploy.cli import main; main(['--help']);"
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr.strip() == "[]"


def test_version(tmp_path: Path) -> None:
    assert typed("--version", cwd=tmp_path).stdout.startswith("voicedeploy 0.")


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (("nonsense",), 2, "usage"),
        (("up", "--nonsense"), 2, "usage"),
        (("up",), 2, "spec"),
        (("up", "--file", "other.toml"), 2, "spec"),
        (("targets", "nowhere-at-all"), 2, "usage"),
        (("init", "x", "--transport", "pigeon"), 2, "usage"),
        (("init", "x", "--services", "none"), 2, "usage"),
        (("init", "x", "--provider", "moon"), 2, "usage"),
        (("call", "ftp://example.org"), 2, "usage"),
        (("serve", "--config", "none.toml"), 2, "usage"),
    ],
)
def test_errors_are_said_twice_alike(tmp_path: Path, words: tuple[str, ...], code: int, kind: str) -> None:
    plain = typed(*words, cwd=tmp_path)
    assert plain.returncode == code, plain
    assert plain.stdout == ""
    assert plain.stderr.startswith("error: ")
    assert "\nhint: " in plain.stderr
    if words[0] == "serve":
        return
    said = typed(*words, "--json", cwd=tmp_path)
    assert said.returncode == code
    error = json.loads(said.stdout)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == kind


def test_check_says_all_of_it_and_refuses(small_project: Path) -> None:
    (small_project / "bot.py").write_text("x = 1\n")
    said = typed("check", cwd=small_project)
    assert said.returncode == 3
    assert "packets    direct" in said.stdout
    assert "VD005" in said.stdout
    assert said.stderr.startswith("error: bot: bot.py has no `async def bot(runner_args)`")


def test_check_json_is_the_contract(small_project: Path) -> None:
    said = json.loads(typed("check", "--json", cwd=small_project).stdout)
    assert set(said) == {"provider", "transport", "verdict", "reason", "findings"}
    assert (said["provider"], said["transport"], said["verdict"]) == ("local", "webrtc", "direct")
    for finding in said["findings"]:
        assert set(finding) == {"code", "severity", "subject", "message", "fix"}


def test_check_of_another_transport_changes_nothing(small_project: Path) -> None:
    before = (small_project / "voicedeploy.toml").read_text()
    said = json.loads(typed("check", "--transport", "daily", "--json", cwd=small_project).stdout)
    assert (said["transport"], said["verdict"]) == ("daily", "dial-out")
    assert (small_project / "voicedeploy.toml").read_text() == before


def test_targets_json_is_the_contract(tmp_path: Path) -> None:
    rows = json.loads(typed("targets", "--json", cwd=tmp_path).stdout)["targets"]
    local = next(row for row in rows if row["name"] == "local")
    assert local["provider"] is True
    keys = {"name", "provider", "inbound_udp", "outbound_udp", "port_model", "websocket", "session_limit",
            "drain_limit", "transports", "note", "evidence", "as_of"}  # fmt: skip
    assert all(set(row) == keys for row in rows)


def test_cloud_run_explains_itself(tmp_path: Path) -> None:
    said = typed("targets", "cloudrun", cwd=tmp_path).stdout
    assert "Cloud Run carries TCP only for media" in " ".join(said.split())


def test_a_place_without_a_provider_is_judged_by_the_table(small_project: Path) -> None:
    words = ("check", "--provider", "azure-aca", "--transport")
    refused = typed(*words, "webrtc", cwd=small_project)
    assert refused.returncode == 3
    assert "UDP does not get in" in refused.stderr and "layer: UDP in" in refused.stderr
    assert "`twilio`" in refused.stderr.partition("hint: ")[2]
    unserved = typed(*words, "twilio", cwd=small_project)
    assert unserved.returncode == 2
    assert "voicedeploy targets azure-aca" in unserved.stderr
    assert "provider 'nowhere'" in typed("check", "--provider", "nowhere", cwd=small_project).stderr


def test_render_writes_only_where_it_may(small_project: Path) -> None:
    first = typed("render", "-o", "out", cwd=small_project)
    assert first.returncode == 0, first
    assert (small_project / "out" / "front.toml").exists()
    assert typed("render", "-o", "out", cwd=small_project).returncode == 0
    (small_project / "out" / "front.toml").write_text("mine")
    refused = typed("render", "-o", "out", cwd=small_project)
    assert refused.returncode == 2
    assert (small_project / "out" / "front.toml").read_text() == "mine"


def test_dry_run_is_the_contract_and_leaves_no_trace(small_project: Path, home: Path) -> None:
    said = json.loads(typed("up", "--dry-run", "--json", cwd=small_project).stdout)
    assert set(said) == {"provider", "have", "want", "steps"}
    assert said["have"] is None
    assert all(set(step) == {"change", "summary", "action"} for step in said["steps"])
    assert list(home.rglob("*")) == []


def test_a_secret_is_never_taken_from_the_command_line(small_project: Path) -> None:
    refused = typed("secrets", "set", "OPENAI_API_KEY=s3cret", cwd=small_project)
    assert refused.returncode == 2
    assert "s3cret" not in refused.stdout + refused.stderr


def test_secrets_from_stdin_and_from_a_file(small_project: Path, home: Path) -> None:
    assert typed("secrets", "set", "A_KEY", cwd=small_project, stdin="first\nsecond\n").returncode == 0
    (small_project / ".env").write_text("B_KEY='b b'\nC_KEY=c\n")
    done = typed("secrets", "set", "--from", ".env", "--json", cwd=small_project)
    assert json.loads(done.stdout) == {"provider": "local", "set": ["B_KEY", "C_KEY"]}
    stored = home / "voicedeploy" / "front-desk" / "secrets.json"
    assert stored.stat().st_mode & 0o777 == 0o600
    assert json.loads(stored.read_text()) == {"A_KEY": "first\nsecond", "B_KEY": "b b", "C_KEY": "c"}
    assert typed("secrets", "unset", "C_KEY", cwd=small_project).returncode == 0
    names = json.loads(typed("secrets", "list", "--json", cwd=small_project).stdout)["secrets"]
    assert [row["name"] for row in names] == ["A_KEY", "B_KEY"]
    assert typed("secrets", "unset", "NONE", cwd=small_project).returncode == 2


def test_without_a_terminal_a_question_is_an_error_that_names_yes(small_project: Path, home: Path) -> None:
    record = home / "voicedeploy" / "front-desk" / "deployment.toml"
    record.parent.mkdir(parents=True)
    record.write_text(
        'voicedeploy-provider = "local"\nvoicedeploy-bot = "front-desk"\nvoicedeploy-release = "1234567"\n'
        'voicedeploy-transport = "webrtc"\nvoicedeploy-url = "http://localhost:7860/"\n'
    )
    refused = typed("down", cwd=small_project)
    assert refused.returncode == 3
    assert "--yes" in refused.stderr
    assert record.exists()
    assert typed("down", "--yes", cwd=small_project).returncode == 0
    assert not record.exists()


def test_json_errors_of_a_stopped_deployment(small_project: Path) -> None:
    said = typed("logs", "--json", cwd=small_project)
    assert said.returncode == 3
    assert json.loads(said.stdout)["error"]["hint"] == "`voicedeploy up`"


def test_completion_is_there(tmp_path: Path) -> None:
    code = "from voicedeploy.cli import main; main(['--show-completion', 'bash'])"
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert "_VOICEDEPLOY_COMPLETE" in done.stdout


def test_the_program_itself_ends_with_the_code(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "voicedeploy", "up"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: voicedeploy.toml: there is no such file")


def test_no_link_leads_to_a_place_without_a_page() -> None:
    from voicedeploy.cli.invite import link
    from voicedeploy.errors import UsageError
    from voicedeploy.plan import Door

    assert "#invite=" in link(Door("https://bot.example.org/", key="k" * 40), 60)
    with pytest.raises(UsageError, match="no page to open"):
        link(Door("https://api.example.org/v1/public/bot", key="k" * 40, page=False), 60)
