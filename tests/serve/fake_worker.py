"""A stand-in for the worker: a real process that speaks the real wire and holds no call.

It runs the bot's file as an import would, and does in a call what the call's body says:
`crash` ("session", "offer" or seconds after the offer), `signal`, `finish_after`, `vanish_after` (seconds until
the client is gone), `ignore_end`, `ignore_all`, `eat` (bytes), `print`, `spawn` (a subprocess that stays), `latency`;
in a room also `never_joins`, `nobody_comes`, `comes_after` (seconds).
"""

import ctypes
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
import uuid
from typing import Any

TASK = json.loads(os.environ["VOICEDEPLOY_WORKER"])
NAMES: dict[str, Any] = {}
"""Of the bot's file."""


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def out(*words: Any) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def say(sock: socket.socket, **message: Any) -> None:
    sock.sendall(json.dumps(message).encode() + b"\n")


def load(sock: socket.socket) -> dict[str, Any]:
    path = f"{TASK['project']}/{TASK['entry']}"
    try:
        names = runpy.run_path(path, run_name="bot")
        NAMES.update(names)
    except BaseException as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        where = f"{TASK['entry']}:{line}"
        text = traceback.format_exc()
        say(sock, event="failed", error=f"{type(error).__name__}: {error}", where=where, traceback=text)
        sys.exit(1)
    forkable = names.get("FORKABLE", True)
    reason = "" if forkable else "a thread runs after import"
    say(
        sock,
        event="loaded",
        pipecat="1.14.0",
        python="3.11.7",
        import_ms=1.0,
        preload_ms=1.0,
        forkable=forkable,
        reason=reason,
    )
    return names


def zygote(sock: socket.socket) -> None:
    names = load(sock)
    children: dict[int, str] = {}
    rest = b""
    while True:
        readable, _, _ = select.select([sock], [], [], 0.02)
        for pid, child in list(children.items()):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                del children[pid]
                code = os.waitstatus_to_exitcode(status)
                say(
                    sock,
                    event="exited",
                    child=child,
                    pid=pid,
                    code=code if code >= 0 else None,
                    signal=-code if code < 0 else None,
                    cpu_s=usage.ru_utime + usage.ru_stime,
                    max_rss=usage.ru_maxrss * 1024,
                )
        if not readable:
            continue
        data, fds, _, _ = socket.recv_fds(sock, 1 << 16, 2)
        if not data:
            sys.exit(0)
        assert data.endswith(b"\n") and not rest
        order = json.loads(data)
        if names.get("STUCK"):
            time.sleep(1000)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            die_with_parent()
            sock.close()
            os.dup2(fds[1], 1)
            os.dup2(fds[1], 2)
            os.close(fds[1])
            call(socket.socket(fileno=fds[0]))
        for fd in fds:
            os.close(fd)
        children[pid] = order["child"]
        say(sock, event="forked", child=order["child"], pid=pid)


class Call:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.session: dict[str, Any] = {}
        self.body: dict[str, Any] = {}
        self.pc_id = ""
        self.timers: list[tuple[float, str]] = []
        self.food: list[bytearray] = []

    def after(self, seconds: float, what: str) -> None:
        self.timers.append((time.monotonic() + seconds, what))

    def due(self) -> None:
        now = time.monotonic()
        for timer in [timer for timer in self.timers if timer[0] <= now]:
            self.timers.remove(timer)
            match timer[1]:
                case "crash":
                    self.crash()
                case "finish":
                    say(self.sock, event="bot", state="finished")
                    os._exit(0)
                case "come":
                    say(self.sock, event="state", state="connected")
                case "vanish":
                    say(self.sock, event="state", state="disconnected")

    def crash(self) -> None:
        out("about to crash")
        if number := self.body.get("signal"):
            os.kill(os.getpid(), number)
        os._exit(3)

    def take(self, order: dict[str, Any]) -> None:
        match order["op"]:
            case "session":
                self.session, self.body = order, order["body"]
                if self.body.get("crash") == "session":
                    self.crash()
                if text := self.body.get("print"):
                    out(text)
            case "offer":
                self.offer(order)
            case "join":
                self.join(order)
            case "candidates":
                if order["pc_id"] == self.pc_id:
                    say(self.sock, reply=order["id"], answer=None)
                else:
                    say(self.sock, reply=order["id"], error="no such peer connection", kind="unknown-pc")
            case "end" if not self.body.get("ignore_end"):
                out("end", order["reason"])
                say(self.sock, event="bot", state="finished")
                os._exit(0)

    def join(self, order: dict[str, Any]) -> None:
        door = {name: value for name, value in order.items() if name not in ("op", "id")}
        out("joins", json.dumps(door))
        say(self.sock, reply=order["id"], answer={})
        say(self.sock, event="state", state="connecting")
        say(self.sock, event="bot", state="started")
        if self.body.get("never_joins") or NAMES.get("NEVER_JOINS"):
            return
        say(self.sock, event="state", state="joined")
        if self.body.get("nobody_comes"):
            return
        self.after(self.body.get("comes_after", 0), "come")
        for key, what in (("crash", "crash"), ("finish_after", "finish"), ("vanish_after", "vanish")):
            if isinstance(self.body.get(key), int | float):
                self.after(self.body[key], what)

    def offer(self, order: dict[str, Any]) -> None:
        if self.body.get("crash") == "offer":
            self.crash()
        if self.body.get("ignore_all"):
            time.sleep(1000)
        if order["sdp"] == "bad":
            say(self.sock, reply=order["id"], error="not an SDP", kind="bad-offer")
            return
        again = bool(self.pc_id)
        self.pc_id = self.pc_id or f"pc-{uuid.uuid4().hex}"
        sdp = json.dumps({"session": self.session, "request_data": order["request_data"], "pid": os.getpid()})
        say(self.sock, reply=order["id"], answer={"sdp": sdp, "type": "answer", "pc_id": self.pc_id})
        if again:
            return
        say(self.sock, event="state", state="connecting")
        if self.body.get("never_connects"):
            return
        say(self.sock, event="state", state="connected")
        say(self.sock, event="bot", state="started")
        say(self.sock, event="first_word", ms=120.0)
        if self.body.get("latency"):
            parts = [("llm_inference", 60.0), ("made up", 1.0), ("llm_inference", 40.0)]
            segments = [{"key": key, "ms": ms} for key, ms in parts]
            say(self.sock, event="latency", voice_to_voice_ms=310.0, segments=segments)
        if eat := self.body.get("eat"):
            self.food.append(bytearray(b"x" * eat))
        if self.body.get("spawn"):
            out("spawned", subprocess.Popen(["sleep", "1000"]).pid)
        if self.body.get("fail"):
            say(self.sock, event="bot", state="failed", error="ValueError: no", where="bot.py:7", traceback="Traceback")
            os._exit(1)
        for key, what in (("crash", "crash"), ("finish_after", "finish"), ("vanish_after", "vanish")):
            if isinstance(self.body.get(key), int | float):
                self.after(self.body[key], what)


def call(sock: socket.socket) -> None:
    me = Call(sock)
    say(sock, event="ready")
    rest = b""
    while True:
        readable, _, _ = select.select([sock], [], [], 0.02)
        me.due()
        if not readable:
            continue
        data = sock.recv(1 << 16)
        if not data:
            os._exit(0)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            me.take(json.loads(line))


def main() -> None:
    sock = socket.socket(fileno=TASK["control_fd"])
    die_with_parent()
    if TASK["role"] == "zygote":
        zygote(sock)
    else:
        load(sock)
        call(sock)


main()
