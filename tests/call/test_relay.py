"""Why a relay gives the caller no address; what a real one answers is in tests/lab/test_turn.py."""

import socket
import threading
from collections.abc import Iterator

import pytest
from aiortc import RTCIceServer

from voicedeploy.call.lines.webrtc.relay import Relay, failure, relays


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that takes connections and speaks no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                with one:
                    one.recv(1024)
                    one.sendall(b"SSH-2.0-not-what-you-think\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        port: int = server.getsockname()[1]
        yield port
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_one_relay_for_each_host_and_way() -> None:
    urls = [
        "turn:a:3478?transport=udp",
        "turn:a:53?transport=udp",
        "turn:a:3478?transport=tcp",
        "turns:a:5349?transport=tcp",
        "turns:a:443?transport=tcp",
        "stun:a",
    ]
    found = relays([RTCIceServer(urls=urls, username="u", credential="hush"), RTCIceServer(urls="turn:b")])
    assert [str(one) for one in found] == ["a:3478 (udp)", "a:3478 (tcp)", "a:5349 (tls)", "b:3478 (udp)"]
    assert "hush" not in repr(found)


async def test_a_dead_server_is_named_with_the_reason(listening: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    for relay, said in {
        Relay("127.0.0.1", closed, "tcp", "u", "p"): f"127.0.0.1:{closed} (tcp) does not answer: ",
        Relay("127.0.0.1", listening, "tls", "u", "p"): "(tls) does not answer: ",
        Relay("turn.invalid", 3478, "tcp", "u", "p"): "turn.invalid:3478 (tcp) does not answer: ",
    }.items():
        found = await failure([relay])
        assert found is not None
        assert found.layer == "no-candidates"
        assert said in found.message and not found.message.endswith(": ")
        assert "transport.turn" in found.hint


async def test_an_udp_server_that_is_silent_is_not_waited_for_long() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        found = await failure([Relay("127.0.0.1", silent.getsockname()[1], "udp", "u", "p")])
    assert found is not None
    assert "no answer within 3 s" in found.message
