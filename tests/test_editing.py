"""One value of a spec changed in place, in whatever way it is written; and back, byte for byte."""

import tomllib
from itertools import permutations

import pytest

from voicedeploy.editing import MARK, with_kind
from voicedeploy.errors import SpecError
from voicedeploy.network import Transport

BOT = '[bot]\nname = "front-desk"  # of "webrtc" fame\n'
TURN = 'turn = [{ urls = "turn:t.example.org", username = "webrtc", credential = "kind" }]'

WRITTEN = {
    "plain": f'{BOT}\n[transport]\nkind = "webrtc"\n',
    "comment and odd spaces": f"{BOT}\n[ transport ]  # how\n\t kind   =\t'webrtc'   # not \"webrtc\"\n",
    "quoted keys": f'{BOT}["transport"]\n\'kind\' = "webrtc"\n',
    "inline": f'transport = {{kind = "webrtc", {TURN}}}\n{BOT}',
    "dotted": f'transport.kind = "webrtc" # dotted\n{BOT}',
    "dotted oddly": f'"transport" . kind="webrtc"\n{BOT}',
    "multi-line string": f'{BOT}[transport]\nkind = """webrtc"""\n',
    "the word everywhere": f'{BOT}[transport]\n# kind = "webrtc"\n{TURN}\nkind = "webrtc"\n[a.b]\nx = "webrtc"\n',
    "no newline at the end": f'{BOT}[transport]\nkind = "webrtc"',
    "windows": f'{BOT}\n[transport]\nkind = "webrtc" # here\n\n[pool]\nmax = 2\n'.replace("\n", "\r\n"),
    "no table": BOT,
    "no table, no newline": BOT.removesuffix("\n"),
    "no table, blank lines": f"{BOT}\n\n\n",
    "no table, windows": f"{BOT}\n[pool]\nmax = 2\n".replace("\n", "\r\n"),
    "no table, windows, no newline": f"{BOT}\n[pool]\nmax = 2".replace("\n", "\r\n"),
    "table without the key": f"{BOT}\n[transport]  # here\n{TURN}\n\n# the pool\n[pool]\nmax = 2\n",
    "empty table last": f"{BOT}[transport]",
    "empty table, windows": f"{BOT}[transport]\n[pool]\nmax = 2\n".replace("\n", "\r\n"),
    "inline without the key": f"transport = {{ {TURN} }}  # relays\n{BOT}",
    "empty inline table": f"  transport = {{}}\n{BOT}",
    "dotted without the key": f"# relays\n  transport.{TURN}\n{BOT}",
    "a header in a string": f'{BOT}python = """\n[transport]\nkind = "x"\n"""\n',
    "arrays of tables": f'{BOT}[[transport.turn]]\nurls = "turn:t.example.org"\nusername = "a"\ncredential = "b"\n',
}
files = pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
CARRIERS = [Transport.TWILIO, Transport.DAILY, Transport.WEBSOCKET]


@files
def test_only_the_value_changes_and_the_way_back_leaves_no_trace(text: str) -> None:
    assert with_kind(text, Transport.WEBRTC) == text
    for way in permutations(CARRIERS):
        now = text
        for kind in way:
            now = with_kind(now, kind)
            before, after = tomllib.loads(text), tomllib.loads(now)
            assert after["transport"].pop("kind") == kind
            before.setdefault("transport", {}).pop("kind", None)
            assert after == before
            assert ("\r\n" in now) == ("\r\n" in text) and now.count("\r") == (now.count("\n") if "\r" in now else 0)
        assert with_kind(now, Transport.WEBRTC) == text


@files
def test_nothing_but_the_value_is_another(text: str) -> None:
    now = with_kind(text, Transport.TWILIO)
    if "kind" in tomllib.loads(text).get("transport", {}):
        assert MARK not in now
        assert sorted(set(now.splitlines()) ^ set(text.splitlines()), key=len)[0].replace("twilio", "webrtc") in text
        assert len(now.splitlines()) == len(text.splitlines())
    else:
        assert MARK in now
        assert len(set(text.splitlines()) - set(now.splitlines())) <= 1


def test_a_table_that_stands_elsewhere_by_now_is_left_in_peace() -> None:
    now = with_kind(BOT, Transport.TWILIO) + "\n[pool]\nmax = 2\n"
    back = with_kind(now, Transport.WEBRTC)
    assert "kind" not in tomllib.loads(back).get("transport", {})
    assert tomllib.loads(back)["pool"] == {"max": 2}
    # A mark that somebody has taken away means that the line is theirs.
    mine = with_kind(with_kind(BOT, Transport.TWILIO).replace(f"  {MARK}", ""), Transport.WEBRTC)
    assert mine.endswith('[transport]\nkind = "webrtc"\n')


def test_a_value_that_is_not_there_to_be_seen_is_not_guessed() -> None:
    with pytest.raises(SpecError) as caught:
        with_kind(f'{BOT}[transport]\nkind = "web\\u0072tc"\n', Transport.DAILY)
    assert "transport.kind" in caught.value.message and 'kind = "daily"' in caught.value.hint
