"""Audio health from synthetic packets: every number is known beforehand."""

from collections.abc import Iterable

import pytest

from voicedeploy.call.rtp import Packet, health

FRAME = 960


def stream(
    count: int,
    *,
    audible: Iterable[int] | None = None,
    delay: dict[int, float] | None = None,
    missing: Iterable[int] = (),
    first_sequence: int = 100,
    first_timestamp: int = 5000,
    jumps: dict[int, int] | None = None,
) -> list[Packet]:
    """A packet every 20 ms; `delay` in ms for single packets, `jumps` in samples of media time from a packet on."""
    loud = set(range(count) if audible is None else audible)
    packets, media, clock = [], first_timestamp, 10.0
    for at in range(count):
        jump = (jumps or {}).get(at, 0)
        media += jump
        clock += jump / 48_000
        if at not in set(missing):
            packets.append(
                Packet(
                    ssrc=1,
                    sequence=(first_sequence + at) % 65536,
                    timestamp=media % 2**32,
                    arrival=clock + (delay or {}).get(at, 0.0) / 1000,
                    peak=3000 if at in loud else 0,
                    audible=at in loud,
                )
            )
        media += FRAME
        clock += 0.02
    return sorted(packets, key=lambda packet: packet.arrival)


def test_nothing_received_is_all_zero() -> None:
    assert health([]).packets == 0


def test_an_even_stream_has_no_fault() -> None:
    seen = health(stream(100))
    assert (seen.packets, seen.lost, seen.gaps) == (100, 0, 0)
    assert seen.jitter_ms == pytest.approx(0, abs=0.01)
    assert seen.max_gap_ms == pytest.approx(20, abs=0.01)
    assert seen.late_max_ms == pytest.approx(0, abs=0.01)


def test_lost_packets_leave_a_gap_of_their_length() -> None:
    seen = health(stream(100, missing=[40, 41, 42]))
    assert (seen.packets, seen.lost) == (97, 3)
    assert seen.max_gap_ms == pytest.approx(80, abs=0.01)
    assert seen.gaps == 1


def test_numbers_that_wrap_around_are_neither_lost_nor_late() -> None:
    seen = health(stream(100, first_sequence=65500, first_timestamp=2**32 - 20 * FRAME))
    assert (seen.packets, seen.lost) == (100, 0)
    assert seen.late_max_ms == pytest.approx(0, abs=0.01)


def test_a_packet_that_comes_late_is_late_and_not_lost() -> None:
    seen = health(stream(100, delay={50: 90.0}))
    assert seen.lost == 0
    assert seen.late_max_ms == pytest.approx(90, abs=0.01)
    assert seen.max_gap_ms == pytest.approx(40, abs=0.01)  # its neighbours came in time


def test_a_duplicate_does_not_hide_a_loss() -> None:
    packets = stream(100, missing=[40])
    seen = health([*packets, packets[-1]])
    assert (seen.packets, seen.lost) == (99, 1)


def test_a_stall_and_its_burst_are_one_gap_and_much_lateness() -> None:
    stalled = {at: 20.0 * (60 - at) for at in range(50, 60)}
    seen = health(stream(100, delay=stalled))
    assert seen.gaps == 1
    assert seen.max_gap_ms == pytest.approx(220, abs=0.01)
    assert seen.late_max_ms == pytest.approx(200, abs=0.01)


def test_a_gap_between_two_silences_is_not_heard() -> None:
    loud = [*range(20), *range(80, 100)]
    seen = health(stream(100, audible=loud, delay={at: 20.0 * (60 - at) for at in range(50, 60)}))
    assert seen.gaps == 0
    assert seen.max_gap_ms == pytest.approx(20, abs=0.01)
    assert seen.max_gap_anywhere_ms == pytest.approx(220, abs=0.01)


def test_silence_that_the_sender_leaves_out_is_no_gap() -> None:
    seen = health(stream(100, jumps={50: 10 * FRAME}))
    assert seen.lost == 0
    assert seen.max_gap_ms == pytest.approx(20, abs=0.01)


def test_jitter_follows_rfc_3550() -> None:
    """Every second packet 8 ms late: |D| is 8 ms each time, and J climbs towards it by a sixteenth."""
    seen = health(stream(400, delay=dict.fromkeys(range(1, 400, 2), 8.0)))
    assert seen.jitter_ms == pytest.approx(8 * (1 - (15 / 16) ** 399), rel=1e-6)
    short = health(stream(3, delay={1: 8.0}))
    assert short.jitter_ms == pytest.approx(8 / 16 + (8 - 8 / 16) / 16, rel=1e-6)


def test_streams_are_added_up_and_the_worst_counts() -> None:
    second = [
        Packet(2, p.sequence, p.timestamp, p.arrival + 60, p.peak, p.audible) for p in stream(50, missing=[20, 21, 22])
    ]
    seen = health([*stream(100), *second])
    assert (seen.packets, seen.lost, seen.gaps) == (147, 3, 1)
