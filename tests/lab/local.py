"""A project brought up on this machine by the real command, in a state folder of its own."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import forked

TALKER = Path(__file__).parent.parent / "call" / "bots" / "talker.py"
REQUIREMENTS = "pipecat-ai[webrtc,websocket]==1.14.0\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Result:
    """What a command said and how it ended."""

    def __init__(self, done: "subprocess.CompletedProcess[str]", seconds: float) -> None:
        self.code, self.out, self.err, self.seconds = done.returncode, done.stdout, done.stderr, seconds

    @property
    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.out)
        return said

    def __repr__(self) -> str:
        return f"exit {self.code} after {self.seconds:.1f} s\n--- out\n{self.out}\n--- err\n{self.err}"


class Place:
    """A project folder, its state, and `voicedeploy` typed in it.

    `forks`: the front that `up` starts need not be a real Python's, with its own bots below it.
    """

    def __init__(self, root: Path, *, udp: str, forks: bool = True) -> None:
        self.root = root / "project"
        self.root.mkdir(parents=True)
        self.state = root / "state"
        # The path of a unix socket is at most about 100 bytes; a test's own folder is often longer.
        self.runtime = Path(tempfile.mkdtemp(prefix="vdt-"))
        self.port, self.udp = free_port(), udp
        self._forks = forks
        self._running: list[subprocess.Popen[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        own = {"XDG_STATE_HOME": str(self.state), "XDG_RUNTIME_DIR": str(self.runtime), "NO_COLOR": "1"}
        return {**os.environ, **own, **({"FORKS": "yes"} if self._forks else {})}

    def talker(self, *, slots: int = 2, extra: str = "") -> None:
        """The project of a bot that speaks a tone; `extra` is appended to its code."""
        (self.root / "bot.py").write_text(TALKER.read_text() + extra)
        (self.root / "requirements.txt").write_text(REQUIREMENTS)
        self.spec(slots=slots)

    def spec(self, *, name: str = "talker", slots: int = 2, session: str = "") -> None:
        (self.root / "voicedeploy.toml").write_text(
            f'[bot]\nname = "{name}"\n[session]\n{session}\n[pool]\nmin = 1\nmax = {slots}\n'
            f'[provider.local]\nport = {self.port}\nudp_ports = "{self.udp}"\n'
        )

    def argv(self, *words: str) -> list[str]:
        return forked.command(*words)

    def run(
        self,
        *words: str,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        cwd: Path | None = None,
    ) -> Result:
        started = time.monotonic()
        done = subprocess.run(
            self.argv(*words),
            cwd=cwd or self.root,
            env={**self.environment, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done, time.monotonic() - started)

    def begin(self, *words: str, turn: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """A command that goes on beside the test; ended with it."""
        program = subprocess.Popen(
            [*turn, *self.argv(*words)],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(program)
        return program

    def status(self) -> dict[str, Any]:
        deployments = self.run("status", "--json").json["deployments"]
        assert len(deployments) == 1, deployments
        one: dict[str, Any] = deployments[0]
        return one

    def until_calls(self, count: int, within_s: float = 30) -> dict[str, Any]:
        """The status once `count` calls run on the live release."""
        until = time.monotonic() + within_s
        while (status := self.status())["sessions"] != count:
            assert time.monotonic() < until, status
            time.sleep(0.2)
        return status

    def close(self) -> None:
        for program in self._running:
            if program.poll() is None:
                program.kill()
            program.communicate()
        if (self.root / "voicedeploy.toml").exists():
            self.run("down", "--yes", "--now")
        shutil.rmtree(self.runtime, ignore_errors=True)
