"""Which socket is opened."""

import pytest

from voicedeploy.call import Callee
from voicedeploy.call.lines.socket.address import dialled, stands_at


@pytest.mark.parametrize(
    ("callee", "named", "url"),
    [
        # Pipecat's runner names what it is bound to, by a scheme that depends on the word `localhost`.
        ("http://127.0.0.1:7860", "wss://0.0.0.0:7860/ws", "ws://127.0.0.1:7860/ws"),
        ("http://localhost:7860", "ws://localhost:7860/ws-client", "ws://localhost:7860/ws-client"),
        ("https://bot.example.org", "wss://0.0.0.0:7860/ws", "wss://bot.example.org/ws"),
        ("https://bot.example.org", "wss://10.0.0.5:7860/ws", "wss://bot.example.org/ws"),
        ("https://bot.example.org", "ws://localhost:7860/ws", "wss://bot.example.org/ws"),
        # A name is where it is.
        ("https://bot.example.org", "wss://media.example.net/ws/s1?x=1", "wss://media.example.net/ws/s1?x=1"),
        ("https://bot.example.org", "https://media.example.net/ws/s1", "wss://media.example.net/ws/s1"),
        # But who was reached by a tunnel is reached by it again.
        ("http://localhost:9000", "wss://bot.example.org/ws/s1", "ws://localhost:9000/ws/s1"),
        # Below a path, and without a host.
        ("https://example.org/bots/desk", "/ws/s1", "wss://example.org/bots/desk/ws/s1"),
        ("https://example.org/bots/desk", "wss://example.org/bots/desk/ws/s1", "wss://example.org/bots/desk/ws/s1"),
        # No `/start`: the usual place.
        ("http://192.168.1.4:8000", "", "ws://192.168.1.4:8000/ws"),
        ("https://example.org/bots/desk", "", "wss://example.org/bots/desk/ws"),
    ],
)
def test_the_address(callee: str, named: str, url: str) -> None:
    assert dialled(Callee.parse(callee), named, "/ws") == url


def test_a_private_socket_is_always_the_way() -> None:
    callee = Callee.parse("https://bot.example.org", socket="/run/front.sock")
    assert dialled(callee, "wss://media.example.net/ws/s1", "/ws") == "wss://bot.example.org/ws/s1"


def test_where_a_front_leads_to_a_platform_its_word_is_taken() -> None:
    named = "wss://us-west.api.example.org/ws/twilio"
    there = stands_at(Callee.parse("http://localhost:9000", socket="/run/front.sock"), named)
    assert (there.url, there.socket) == ("https://us-west.api.example.org", "")
    assert dialled(there, named, "/ws") == named


def test_a_sockets_own_front_stands_at_it() -> None:
    callee = Callee.parse("http://localhost:9000", socket="/run/front.sock")
    assert stands_at(callee, "wss://bot.example.org/ws/s1") is callee
