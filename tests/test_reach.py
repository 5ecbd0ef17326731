"""Handshakes with real listeners, and with one that never answers."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from voicedeploy.reach import door, handshakes_ms


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a listener that nobody is let in to: its queue is full, and Linux drops who comes then."""
    with ExitStack() as open_:
        listener = open_.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_each_is_timed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        took = handshakes_ms("127.0.0.1", listener.getsockname()[1], times=4)
    assert len(took) == 4 and all(0 < ms < 50 for ms in took)


def test_who_never_answers_is_not_waited_for(silent: int) -> None:
    began = time.monotonic()
    assert handshakes_ms("127.0.0.1", silent, patience_s=0.5) == []
    assert 0.4 < time.monotonic() - began < 1.5


def test_nobody_there() -> None:
    assert handshakes_ms("127.0.0.1", 9) == []
    assert handshakes_ms("no-such-name.invalid", 80, patience_s=0.5) == []


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://bot.example.org/a", ("bot.example.org", 443)),
        ("wss://bot.example.org/ws", ("bot.example.org", 443)),
        ("http://10.0.0.7", ("10.0.0.7", 80)),
        ("http://[::1]:7860/", ("::1", 7860)),
        ("", ("", 80)),
    ],
)
def test_where_to_knock(url: str, where: tuple[str, int]) -> None:
    assert door(url) == where
