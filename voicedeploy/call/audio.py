"""Loudness, and speech from a file: as the Opus packets that a microphone would send, and as plain samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from voicedeploy.errors import UsageError

RATE = 48_000
"""Opus in WebRTC always counts in 48 kHz (RFC 7587)."""
FRAME = 960
"""Samples of one packet: 20 ms, what browsers send."""
FRAME_S = FRAME / RATE
AUDIBLE_DBFS = -45.0
AUDIBLE = round(32768 * 10 ** (AUDIBLE_DBFS / 20))
"""The smallest 16-bit sample that counts as sound."""
LONGEST_S = 120.0
TIME_BASE = Fraction(1, RATE)
BIT_RATE = 40_000
"""Mono speech as Chromium sends it, within a few kbit/s."""

Samples = NDArray[np.int16]


def dbfs(peak: int) -> float:
    """Level of a 16-bit peak in dB below full scale; -99 for digital silence."""
    return 20 * float(np.log10(peak / 32768)) if peak > 0 else -99.0


def peak_of(samples: Samples) -> int:
    return max(int(samples.max()), -int(samples.min())) if samples.size else 0


def read_speech(path: Path) -> Samples:
    """The file as 48 kHz mono. Any rate, channel count and sample format that FFmpeg decodes.

    Raises UsageError where there is nothing to say: unreadable, empty, silent, or longer than two minutes.
    """
    hint = "any wav with speech works: 8 to 48 kHz, mono or stereo, at most two minutes"
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file", hint=hint)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    parts: list[Samples] = []
    seconds = 0.0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise UsageError(f"{path}: has no sound in it", hint=hint)
            for frame in container.decode(audio=0):
                seconds += frame.samples / (frame.sample_rate or RATE)
                if seconds > LONGEST_S:
                    raise UsageError(f"{path}: is longer than {LONGEST_S:.0f} s", hint=hint)
                parts += [_mono(out) for out in resampler.resample(frame)]
            if parts:
                parts += [_mono(out) for out in resampler.resample(None)]
    except (av.FFmpegError, ValueError) as why:
        raise UsageError(f"{path}: is not a sound file: {why}", hint=hint) from why
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    if not samples.size:
        raise UsageError(f"{path}: is empty", hint=hint)
    if (peak := peak_of(samples)) < AUDIBLE:
        raise UsageError(
            f"{path}: is silent: its loudest sample is {dbfs(peak):.0f} dBFS, sound begins at {AUDIBLE_DBFS:.0f}",
            hint="record it louder, or leave --wav out: the caller brings its own speech",
        )
    return samples


def _mono(frame: av.AudioFrame) -> Samples:
    return np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples)


@dataclass(frozen=True)
class Speech:
    """Opus packets of 20 ms each, and the indices of the first and the last one that hold an audible sample."""

    packets: tuple[bytes, ...]
    last_audible: int
    first_audible: int = 0

    @property
    def seconds(self) -> float:
        return len(self.packets) * FRAME_S


def encode(samples: Samples) -> Speech:
    """`samples` at 48 kHz mono, with a little silence behind them so that the codec says everything."""
    padded = np.concatenate([samples, np.zeros(FRAME * 5 + (-samples.size) % FRAME, np.int16)])
    packets = tuple(_encoded(padded))
    decoder = OpusDecoder()
    audible = [at for at, packet in enumerate(packets) if decoder.peak(packet) >= AUDIBLE]
    return Speech(packets, *((audible[-1], audible[0]) if audible else (0, 0)))


@lru_cache
def samples_of(speech: Speech, rate: int) -> Samples:
    """The same speech for a line that does not carry Opus: what a listener of the packets would hear, at `rate`."""
    decoder = OpusDecoder()
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    heard = np.concatenate([decoder.samples(packet) for packet in speech.packets])
    frame = av.AudioFrame.from_ndarray(heard.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, TIME_BASE
    return np.concatenate([_mono(out) for part in (frame, None) for out in resampler.resample(part)])


@lru_cache
def silence() -> bytes:
    """The packet that an encoder repeats while nobody speaks."""
    return tuple(_encoded(np.zeros(FRAME * 25, np.int16)))[-1]


def _encoded(samples: Samples) -> Iterator[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    codec.bit_rate = BIT_RATE
    codec.format = av.AudioFormat("s16")
    codec.layout = "mono"
    codec.sample_rate = RATE
    codec.time_base = TIME_BASE
    codec.options = {"application": "voip"}
    for at in range(0, samples.size, FRAME):
        frame = av.AudioFrame.from_ndarray(samples[at : at + FRAME].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, TIME_BASE
        yield from map(bytes, codec.encode(frame))
    yield from map(bytes, codec.encode(None))


class OpusDecoder:
    """Decodes one stream on the caller's own thread: handing 50 packets a second to another thread costs more."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.format = av.AudioFormat("s16")
        self._codec.layout = "mono"
        self._codec.sample_rate = RATE

    def peak(self, packet: bytes) -> int:
        """The largest absolute sample; 0 for a packet that cannot be decoded (comfort noise, damage)."""
        return max((peak_of(_mono(frame)) for frame in self._decoded(packet)), default=0)

    def samples(self, packet: bytes) -> Samples:
        """What the packet holds at 48 kHz; nothing for one that cannot be decoded."""
        return np.concatenate([np.zeros(0, np.int16), *map(_mono, self._decoded(packet))])

    def _decoded(self, packet: bytes) -> Sequence[av.AudioFrame]:
        try:
            return self._codec.decode(av.Packet(packet))
        except av.FFmpegError:
            return ()
