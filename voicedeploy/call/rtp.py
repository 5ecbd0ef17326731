"""Audio health from the headers and the arrival times of RTP packets; pure, no clocks and no sockets.

Four things that listeners tell apart:

- *lost*: sequence numbers that never came (RFC 3550 A.3, duplicates not counted twice).
- *jitter*: RFC 3550 A.8, the smoothed difference between how packets were spaced when sent and when received.
- *gap*: the time between two arrivals, less the silence that the sender itself declared by moving the media
  clock without sending packets (discontinuous transmission). Only gaps inside an utterance count as
  `max_gap_ms`: nobody hears a gap between two silences. `max_gap_anywhere_ms` has them all.
- *lateness*: how much later a packet came than the best one of its utterance, by the media clock: the playout
  buffer that this packet needed. A burst after a stall has few gaps but much lateness.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

CLOCK = 48_000
PAUSE = round(0.5 * CLOCK)
"""Silence within an utterance that is still the same utterance: half a second of media time."""
NOTICEABLE_MS = 60.0
"""Gaps above this are counted: a listener's jitter buffer of 60 to 80 ms runs dry."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as it came: `arrival` in seconds of a monotonic clock, `peak` as a 16-bit amplitude."""

    ssrc: int
    sequence: int
    timestamp: int
    arrival: float
    peak: int
    audible: bool


@dataclass(frozen=True)
class Health:
    packets: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    max_gap_ms: float = 0.0
    max_gap_anywhere_ms: float = 0.0
    gaps: int = 0
    """Gaps above 60 ms inside utterances."""
    late_p95_ms: float = 0.0
    late_max_ms: float = 0.0
    loudest: int = 0


@dataclass(frozen=True, slots=True)
class _Unwrapped:
    sequence: int
    media: int
    arrival: float
    audible: bool


def health(packets: Sequence[Packet]) -> Health:
    """Judges a whole call. Several streams (a bot that restarted its track) are added up, the worst counts."""
    streams = [_stream([p for p in packets if p.ssrc == ssrc]) for ssrc in dict.fromkeys(p.ssrc for p in packets)]
    if not streams:
        return Health()
    main = max(streams, key=lambda stream: stream.packets)
    return Health(
        packets=sum(s.packets for s in streams),
        lost=sum(s.lost for s in streams),
        jitter_ms=main.jitter_ms,
        max_gap_ms=max(s.max_gap_ms for s in streams),
        max_gap_anywhere_ms=max(s.max_gap_anywhere_ms for s in streams),
        gaps=sum(s.gaps for s in streams),
        late_p95_ms=max(s.late_p95_ms for s in streams),
        late_max_ms=max(s.late_max_ms for s in streams),
        loudest=max(s.loudest for s in streams),
    )


def _stream(packets: Sequence[Packet]) -> Health:
    unwrapped = list(_unwrap(packets))
    seen = {p.sequence for p in unwrapped}
    expected = max(seen) - min(seen) + 1
    gaps = list(_gaps(unwrapped))
    inside = [gap for gap, heard in gaps if heard]
    late = sorted(lateness for utterance in utterances(unwrapped) for lateness in _lateness(utterance))
    return Health(
        packets=len(seen),
        lost=expected - len(seen),
        jitter_ms=_jitter(unwrapped) * 1000,
        max_gap_ms=max(inside, default=0.0) * 1000,
        max_gap_anywhere_ms=max((gap for gap, _ in gaps), default=0.0) * 1000,
        gaps=sum(gap * 1000 > NOTICEABLE_MS for gap in inside),
        late_p95_ms=late[int(0.95 * (len(late) - 1))] * 1000 if late else 0.0,
        late_max_ms=late[-1] * 1000 if late else 0.0,
        loudest=max(p.peak for p in packets),
    )


def _unwrap(packets: Sequence[Packet]) -> Iterator[_Unwrapped]:
    """Sequence numbers and timestamps without their wrap-around, in order of arrival."""
    if not packets:
        return
    sequence, media = packets[0].sequence, packets[0].timestamp
    for p in packets:
        sequence += _signed(p.sequence - sequence, 16)
        media += _signed(p.timestamp - media, 32)
        yield _Unwrapped(sequence, media, p.arrival, p.audible)


def _signed(difference: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half


def _frame(packets: Sequence[_Unwrapped]) -> int:
    """Media time of one packet: the step that is seen most often between neighbours."""
    steps = Counter(b.media - a.media for a, b in pairwise(packets) if b.sequence - a.sequence == 1)
    return max(1, steps.most_common(1)[0][0]) if steps else 960


def _gaps(packets: Sequence[_Unwrapped]) -> Iterator[tuple[float, bool]]:
    """(seconds between two arrivals, whether that was inside an utterance)."""
    ordered = _in_order(packets)
    frame = _frame(ordered)
    waiting: list[float] = []
    last_audible: int | None = None
    for before, after in pairwise(ordered):
        if before.audible:
            last_audible = before.media
        declared = after.media - before.media - (after.sequence - before.sequence) * frame
        pause = max(0, declared) / CLOCK
        waiting.append(max(0.0, after.arrival - before.arrival - pause))
        if after.audible:
            inside = last_audible is not None and after.media - last_audible <= PAUSE
            yield from ((gap, inside) for gap in waiting)
            waiting.clear()
    yield from ((gap, False) for gap in waiting)


def _in_order(packets: Sequence[_Unwrapped]) -> list[_Unwrapped]:
    """Without duplicates and without packets that came behind a newer one: those close no gap."""
    ordered: list[_Unwrapped] = []
    for p in packets:
        if not ordered or p.sequence > ordered[-1].sequence:
            ordered.append(p)
    return ordered


def _jitter(packets: Sequence[_Unwrapped]) -> float:
    jitter = 0.0
    for before, after in pairwise(packets):
        if after.media == before.media:
            continue
        apart = (after.arrival - before.arrival) - (after.media - before.media) / CLOCK
        jitter += (abs(apart) - jitter) / 16
    return jitter


def utterances(packets: Iterable[_Unwrapped]) -> Iterator[list[_Unwrapped]]:
    """Stretches from an audible packet to the last audible one before half a second of silence."""
    current: list[_Unwrapped] = []
    tail: list[_Unwrapped] = []
    for p in packets:
        if not current:
            if p.audible:
                current = [p]
            continue
        if p.media - current[-1].media > PAUSE:
            yield current
            current, tail = ([p] if p.audible else []), []
        elif p.audible:
            current += [*tail, p]
            tail = []
        else:
            tail.append(p)
    if current:
        yield current


def _lateness(utterance: Sequence[_Unwrapped]) -> Iterator[float]:
    transit = [p.arrival - p.media / CLOCK for p in utterance]
    best = min(transit)
    return (t - best for t in transit)
