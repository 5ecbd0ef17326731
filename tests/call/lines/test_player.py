"""What is heard is what was played, and when."""

import asyncio
import time

import numpy as np
import pytest

from voicedeploy.call.ear import Ear
from voicedeploy.call.lines.socket.player import Player
from voicedeploy.call.rtp import health

RATE = 8000
LOUD = np.full(RATE // 50, 8000, np.int16)
"""20 ms."""
QUIET = np.zeros(RATE // 50, np.int16)


class Phone:
    def __init__(self) -> None:
        self.ear = Ear()
        self.marks: list[tuple[str, float]] = []
        self.began = time.monotonic()
        self.player = Player(self.ear, lambda name: self.marks.append((name, self.now())))

    def now(self) -> float:
        return time.monotonic() - self.began

    def take(self, *frames: "np.typing.NDArray[np.int16]") -> None:
        self.player.take(np.concatenate(frames), RATE)

    def heard(self) -> list[float]:
        return [at - self.began for at in self.ear.audible()]


async def test_a_burst_is_heard_in_its_own_time() -> None:
    phone = Phone()
    phone.take(*[QUIET] * 5, *[LOUD] * 5)
    assert phone.ear.first_audible is None  # it has come, but nobody hears it yet
    assert phone.player.ahead_s == pytest.approx(0.2, abs=0.01)
    await asyncio.sleep(0.3)
    assert phone.heard() == pytest.approx([0.1, 0.12, 0.14, 0.16, 0.18], abs=0.005)
    judged = health(phone.ear.packets)
    assert (judged.packets, judged.lost) == (10, 0)
    assert judged.max_gap_ms == pytest.approx(20, abs=1)


async def test_a_mark_comes_back_when_all_before_it_was_played() -> None:
    phone = Phone()
    phone.player.mark("at once")
    phone.take(*[LOUD] * 5)
    phone.player.mark("after")
    phone.take(*[LOUD] * 5)
    await asyncio.sleep(0.15)
    assert [name for name, _ in phone.marks] == ["at once", "after"]
    assert [at for _, at in phone.marks] == pytest.approx([0, 0.1], abs=0.02)
    phone.player.stop()


async def test_what_is_cleared_is_never_heard() -> None:
    phone = Phone()
    phone.take(*[LOUD] * 50)
    phone.player.mark("end")
    await asyncio.sleep(0.1)
    assert phone.player.clear() == ["end"]
    await asyncio.sleep(0.1)
    assert phone.heard()[-1] < 0.13 and phone.marks == []
    phone.take(LOUD)  # and what comes next is heard at once
    assert phone.heard()[-1] == pytest.approx(phone.now(), abs=0.02)
    assert health(phone.ear.packets).gaps == 0


async def test_a_buffer_that_runs_dry_in_a_sound_is_a_hole() -> None:
    phone = Phone()
    phone.take(LOUD, LOUD)
    await asyncio.sleep(0.14)
    again = phone.now()
    phone.take(LOUD, LOUD)
    await asyncio.sleep(0.05)
    judged = health(phone.ear.packets)
    assert judged.gaps == 1 and judged.max_gap_ms == pytest.approx((again - 0.02) * 1000, abs=15)
    assert judged.lost == 0


async def test_silence_after_the_end_of_a_sound_is_no_hole() -> None:
    phone = Phone()
    phone.take(LOUD, QUIET)
    await asyncio.sleep(0.14)
    phone.take(LOUD, QUIET)
    await asyncio.sleep(0.05)
    judged = health(phone.ear.packets)
    assert judged.gaps == 0 and judged.max_gap_ms < 30
