"""The front as a process: signals, exit codes, and what must not stay behind."""

import signal
import time
from collections.abc import Callable

import httpx
import psutil

from tests.serve.conftest import BEARER, FrontProcess, Launch, alive, lines


def wait_for(true: Callable[[], bool], *, patience_s: float = 15) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.01)


def errors(front: FrontProcess) -> str:
    assert front.popen.stderr
    return front.popen.stderr.read().decode()


def test_sigterm_drains(launch: Launch, free_port: int) -> None:
    front = launch({"listen": {"port": free_port}})
    front.ready()
    id, pid = front.call(finish_after=1.5)
    front.popen.terminate()
    wait_for(lambda: front.ask("/status").json()["draining"])
    refused = httpx.post(f"http://127.0.0.1:{free_port}/start", json={}, headers=BEARER)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert refused.headers["retry-after"]
    assert front.ask("/readyz").json() == {"ready": False, "reason": "draining"}
    assert front.ask("/livez").status_code == 200
    # The call goes on.
    again = front.post(f"/sessions/{id}/api/offer", {"sdp": "v=0", "type": "offer"})
    assert again.status_code == 200
    assert alive(pid)
    assert front.popen.wait(15) == 0
    ended = [line for line in lines(front.config) if line["event"] == "ended"]
    assert [(line["session"], line["reason"]) for line in ended] == [(id, "bot-finished")]
    assert not front.config.listen.socket.exists()
    assert errors(front) == ""


def test_a_second_sigterm_is_now(launch: Launch) -> None:
    front = launch({})
    front.ready()
    _, pid = front.call(ignore_end=True)
    children = psutil.Process(front.popen.pid).children(recursive=True)
    front.popen.terminate()
    wait_for(lambda: front.ask("/status").json()["draining"])
    front.popen.terminate()
    assert front.popen.wait(10) == 130
    assert not alive(pid)
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_an_interrupt_is_now(launch: Launch) -> None:
    front = launch({})
    front.ready()
    _, pid = front.call()
    front.popen.send_signal(signal.SIGINT)
    assert front.popen.wait(10) == 130
    assert not alive(pid)


def test_nothing_survives_a_killed_front(launch: Launch, free_port: int) -> None:
    front = launch({"listen": {"port": free_port}})
    front.ready()
    front.call()
    children = psutil.Process(front.popen.pid).children(recursive=True)
    assert len(children) >= 3
    front.popen.kill()
    front.popen.wait()
    assert not psutil.wait_procs(children, timeout=5)[1]
    # Its port and its socket are free for the next one.
    again = launch({"listen": {"port": free_port}})
    again.ready()
    assert again.ask("/status").json()["listen"] == {"host": "127.0.0.1", "port": free_port}
