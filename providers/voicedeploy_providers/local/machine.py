"""This machine as a target: the actions of a plan, carried out here."""

import errno
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from voicedeploy import environment, front
from voicedeploy.ask import ask as ask_front
from voicedeploy.errors import StepFailed
from voicedeploy.plan import Action, Call, Command, Prove, Publish, Question, Remove, Start, Stop, Upload, Write

# What a program started here inherits from the shell; the rest of it stays out of a bot's sight, as on a server.
_INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME")
_INHERITED_PREFIXES = (
    "SSL_CERT",
    "REQUESTS_CA",
    "UV_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


class Machine:
    _started: Start | None = None
    """The last program."""

    def ask(self, question: Question) -> str:
        return self._call(question) if isinstance(question, Call) else self._command(question)

    def perform(self, action: Action) -> str:
        with _disk_errors():
            match action:
                case Command():
                    return environment.packages(self._command(action))
                case Call():
                    self._call(action)
                case Write():
                    self._write(action)
                case Upload():
                    self._upload(action)
                case Remove(paths=paths):
                    for path in paths:
                        _remove(Path(path))
                case Start():
                    self._start(action)
                case Stop():
                    self._stop(action)
                case Prove() | Publish():
                    raise TypeError(f"{type(action).__name__} is not for this machine")
        return ""

    def _command(self, command: Command) -> str:
        try:
            done = subprocess.run(
                command.argv,
                cwd=command.cwd or None,
                env={**_environment(), **command.env},
                input=command.stdin,
                capture_output=True,
                timeout=command.timeout_s,
            )
        except FileNotFoundError as error:
            raise StepFailed(f"{command.argv[0]}: no such program", hint="install it, or repair PATH") from error
        except subprocess.TimeoutExpired as error:
            raise StepFailed(
                f"{Path(command.argv[0]).name} did not end within {command.timeout_s:g} s",
                hint="is the network slow? try again",
            ) from error
        said = (done.stderr + done.stdout).decode("utf-8", "replace")
        if done.returncode:
            lines = tuple(line for line in said.splitlines() if line.strip())
            raise StepFailed(
                f"`{Path(command.argv[0]).name} {' '.join(command.argv[1:3])}` failed with exit code {done.returncode}",
                hint=environment.hint(said),
                log=lines[-15:],
            )
        return said

    def _call(self, call: Call) -> str:
        until = time.monotonic() + call.wait_s
        body = b"" if call.body is None else json.dumps(dict(call.body)).encode()
        while True:
            status, said = ask_front(call.method, urlsplit(call.url).path, call.socket, body, timeout_s=10)
            if status == 200:
                return said
            if status:
                failure = front.refusal(call, status, said)
                if front.final(status, said):
                    raise failure
            else:
                failure = StepFailed(f"{call.method} {call.url}: {said}")
                if call.wait_s and self._started and running(Path(self._started.pid_file)) is None:
                    last_words = tail(call.log) or tail(self._started.log)
                    raise StepFailed(
                        "the front ended before it answered", hint="its last words say why", log=last_words
                    )
            if time.monotonic() >= until:
                raise StepFailed(failure.message, hint=failure.hint, log=failure.log or tail(call.log))
            time.sleep(0.05)

    def _write(self, write: Write) -> None:
        path = Path(write.path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, write.mode)
                file.write(write.content)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _upload(self, upload: Upload) -> None:
        to = Path(upload.to)
        if to.exists():
            return
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}."))
        try:
            for name in upload.files:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(upload.root / name, part / name)
            part.rename(to)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _start(self, start: Start) -> None:
        log, pid_file = Path(start.log), Path(start.pid_file)
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log.open("ab") as output:
            program = subprocess.Popen(
                start.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        started = psutil.Process(program.pid).create_time()
        self._started = start
        program.returncode = 0  # it outlives us on purpose; nobody is to wait for it
        self._write(Write(str(pid_file), json.dumps({"pid": program.pid, "started": started}).encode()))

    def _stop(self, stop: Stop) -> None:
        process = running(Path(stop.pid_file))
        if process is None:
            return
        try:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(stop.grace_s or 0.01)
            except psutil.TimeoutExpired:
                process.send_signal(signal.SIGTERM)  # the second one: at once
                try:
                    process.wait(5)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(5)
        except psutil.NoSuchProcess:
            return


def running(pid_file: Path) -> psutil.Process | None:
    """The program that `pid_file` names, if it still runs; a reused process id does not fool it."""
    try:
        record: dict[str, Any] = json.loads(pid_file.read_text("utf-8"))
        process = psutil.Process(int(record["pid"]))
        alive = process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process if alive else None


def tail(log: str, lines: int = 15) -> tuple[str, ...]:
    """The last lines of a file, oldest first; none where there is no such file."""
    if not log or not Path(log).exists():
        return ()
    with Path(log).open(encoding="utf-8", errors="replace") as file:
        return tuple(line.rstrip("\n") for line in deque(file, maxlen=lines))


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k in _INHERITED or k.startswith(_INHERITED_PREFIXES)}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StepFailed(
                f"the disk is full: {error.filename or ''}".rstrip(": "),
                hint="free some space, then run it again",
            ) from error
        raise StepFailed(str(error)) from error
