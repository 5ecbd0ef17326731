"""A project, and `voicedeploy` typed in it by somebody whose ssh knows the hosts of the lab."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab.hosts import Host
from tests.lab.local import REQUIREMENTS, TALKER, Result


class Desk:
    """`add` makes a host known under its name; `run` types a command for `--provider vm`."""

    def __init__(self, root: Path, name: str = "talker") -> None:
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

    def popen(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "voicedeploy", *words],
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
            [sys.executable, "-m", "voicedeploy", *words],
            cwd=self.root, env=self.environment, input=stdin, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        return Result(done, time.monotonic() - began)

    def up(self, host: Host, *more: str) -> Result:
        return self.run("up", "--host", host.name, "--yes", "--json", *more)

    def status(self, host: Host) -> dict[str, Any]:
        (one,) = self.run("status", "--host", host.name, "--json").json["deployments"]
        found: dict[str, Any] = one
        return found


def run_of(program: "subprocess.Popen[str]", timeout_s: float = 120) -> dict[str, Any]:
    """What `call --json` saw."""
    out, err = program.communicate(timeout=timeout_s)
    assert program.returncode == 0, err or out
    run: dict[str, Any] = json.loads(out)["runs"][0]
    return run
