"""A project, and `voicedeploy` typed in it by somebody whose ssh knows the hosts of the lab."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import voicedeploy
from tests import forked, processor
from tests.lab.hosts import Host
from tests.lab.local import REQUIREMENTS, TALKER, Result

SPEECH = Path(voicedeploy.__file__).parent / "call" / "speech"
SENTENCES = 17
"""A minute and a half of talk: longer than five deploys."""
GAP_MS = 60.0
"""A gap that a listener hears."""


class Desk:
    """`add` makes a host known under its name; `run` types a command for `--provider vm`.

    `forks`: the commands need not be started as a person starts them, which takes them longer.
    """

    def __init__(self, root: Path, name: str = "talker", *, forks: bool = True) -> None:
        self._forks = forks
        self.root = root / "project"
        self.root.mkdir(parents=True)
        self.bin = root / "bin"
        self.bin.mkdir()
        self.config = root / "ssh_config"
        self.config.touch()
        real = shutil.which("ssh")
        assert real, "the lab needs OpenSSH's client"
        ssh = self.bin / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {real} -F {self.config} "$@"\n')
        ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
        self.write(name)

    def write(self, name: str = "talker", *, slots: int = 4, extra: str = "", spec: str = "") -> None:
        """The project of a bot that greets with a tone and answers with one; `extra` is added to its code."""
        (self.root / "bot.py").write_text(TALKER.read_text() + extra)
        (self.root / "requirements.txt").write_text(REQUIREMENTS)
        (self.root / "voicedeploy.toml").write_text(
            f'[bot]\nname = "{name}"\nprovider = "vm"\n[session]\nmemory = "256MiB"\n[pool]\nmax = {slots}\n{spec}'
        )

    def change(self) -> None:
        """Another release: the same bot with a remark more."""
        with (self.root / "bot.py").open("a") as file:
            file.write(f"# {time.monotonic_ns()}\n")

    def add(self, host: Host) -> None:
        host.ssh_config(self.config, host.name)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "NO_COLOR": "1"}

    def argv(self, *words: str) -> list[str]:
        return forked.command(*words) if self._forks else [sys.executable, "-m", "voicedeploy", *words]

    def popen(self, *words: str, turn: Sequence[str] = ()) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*turn, *self.argv(*words)],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, stdin: str = "", timeout_s: float = 240) -> Result:
        began = time.monotonic()
        done = subprocess.run(
            self.argv(*words),
            cwd=self.root, env=self.environment, input=stdin, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        return Result(done, time.monotonic() - began)

    def up(self, host: Host, *more: str) -> Result:
        return self.run("up", "--host", host.name, "--yes", "--json", *more)

    def talk(self, host: Host, sentences: int = SENTENCES) -> "subprocess.Popen[str]":
        """A call that says so many sentences and waits for each answer."""
        said = [word for _ in range(sentences) for word in ("--wav", str(SPEECH / "hello.wav"))]
        return self.popen("call", "--host", host.name, *said, "--json", turn=processor.REALTIME)

    def three_good_a_bad_one_and_back(self, host: Host) -> list[str]:
        """Three deploys, one that fails, and a rollback, one right after the other. The releases that were live, in
        their order; the last but one is live now."""
        released = [self.status(host)["release"]]
        for _ in range(3):
            self.change()
            up = self.up(host)
            assert up.code == 0, up
            released.append(up.json["release"])
        good = (self.root / "bot.py").read_text()
        (self.root / "bot.py").write_text("import nothing_of_that_name\n" + good)
        bad = self.up(host)
        assert bad.code == 4
        assert "bot.py:1" in bad.json["error"]["message"] and "nothing_of_that_name" in bad.json["error"]["message"]
        (self.root / "bot.py").write_text(good)
        assert self.status(host)["release"] == released[-1], "what failed never got traffic"
        back = self.run("rollback", "--host", host.name, "--yes", "--json")
        assert back.code == 0, back
        assert back.json["release"] == released[-2]
        return released

    def status(self, host: Host) -> dict[str, Any]:
        (one,) = self.run("status", "--host", host.name, "--json").json["deployments"]
        found: dict[str, Any] = one
        return found


def unbroken(calls: Iterable["subprocess.Popen[str]"], sentences: int = SENTENCES) -> None:
    """Each call ends by itself, with an answer to all that was said, and its listener heard no gap."""
    for call in calls:
        run = run_of(call, 400)
        assert run["ok"], run["error"]
        assert [turn["voice_to_voice_ms"] is not None for turn in run["turns"]] == [True] * sentences
        assert run["audio"]["lost"] == 0, run["audio"]
        assert run["audio"]["max_gap_ms"] < GAP_MS, run["audio"]


def only_unit(host: Host, bot: str, release: str) -> None:
    """Of all the bot's releases this one's unit is left running."""
    units = host.run(f"systemctl list-units --no-legend --plain --state=active 'voicedeploy-{bot}@*'").stdout
    assert [line.split()[0] for line in units.splitlines()] == [f"voicedeploy-{bot}@{release}.service"]


def run_of(program: "subprocess.Popen[str]", timeout_s: float = 120) -> dict[str, Any]:
    """What `call --json` saw."""
    out, err = program.communicate(timeout=timeout_s)
    assert program.returncode == 0, err or out
    run: dict[str, Any] = json.loads(out)["runs"][0]
    return run
