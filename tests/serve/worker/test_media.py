"""What the bot hears after a gap: everything that came, and nothing late. With aiortc's own buffer and codecs."""

import asyncio
from types import SimpleNamespace

import av
import pytest
from aiortc.codecs import get_encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket

from voicedeploy.serve.worker.media import _Decoder

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)


def packets(count: int) -> list[RtpPacket]:
    frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
    frame.planes[0].update(bytes(960 * 4))
    frame.sample_rate, frame.pts = 48000, 0
    [data], _ = get_encoder(OPUS).encode(frame)
    made = []
    for number in range(count):
        packet = RtpPacket(payload_type=96, sequence_number=number, timestamp=960 * number, payload=data)
        packet._data = data  # type: ignore[attr-defined]
        made.append(packet)
    return made


class Ear:
    """What aiortc's receiver does with a packet, around its buffer and our decoder."""

    def __init__(self, prefetch: int) -> None:
        self.frames: asyncio.Queue[av.AudioFrame] = asyncio.Queue()
        self._buffer = JitterBuffer(capacity=16, prefetch=prefetch)
        self._map = TimestampMapper().map
        self._decoder = _Decoder(SimpleNamespace(_queue=self.frames), self._buffer, self._map)

    def hear(self, packet: RtpPacket) -> int:
        """How many packets have been heard until then."""
        _, frame = self._buffer.add(packet)
        if frame is not None:
            frame.timestamp = self._map(frame.timestamp)
            self._decoder.put((OPUS, frame))
        return self.frames.qsize()


@pytest.mark.parametrize("prefetch", [1, 4])
def test_a_lost_packet_delays_only_what_comes_next(prefetch: int) -> None:
    ear = Ear(prefetch)
    heard = [ear.hear(packet) for packet in packets(60) if packet.sequence_number != 20]
    assert heard[15] == 16 - prefetch
    # aiortc gives up the packets it held before the gap with the lost one.
    given_up = range(20 - prefetch, 21)
    assert heard[-1] == 60 - prefetch - len(given_up)
    times = [frame.pts for frame in list(ear.frames._queue)]  # type: ignore[attr-defined]
    assert times == [960 * number for number in range(60 - prefetch) if number not in given_up]


def test_packets_in_the_wrong_order_are_heard_in_the_right_one() -> None:
    ear = Ear(1)
    sent = packets(30)
    sent[10], sent[11] = sent[11], sent[10]
    heard = [ear.hear(packet) for packet in sent]
    assert heard[-1] == 29
    times = [frame.pts for frame in list(ear.frames._queue)]  # type: ignore[attr-defined]
    assert times == [960 * number for number in range(29)]
