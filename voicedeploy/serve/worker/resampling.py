"""Telephones at once.

A carrier's sound has 8 kHz, a bot hears at 16 and speaks at 24. Pipecat's serializers resample each packet by a
filter that is made for files: it keeps 50 to 150 ms back, both ways, in every turn of every call. Here it is 4 ms.
docs/performance.md has the figures.
"""

import importlib
from functools import cache
from math import gcd
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .log import log

CARRIERS = ("twilio", "telnyx", "plivo", "exotel")
_MAKER = "create_stream_resampler"

# Samples of the lower rate on either side of one: at 8 kHz 4 ms. Half a dB is lost at 3.4 kHz, 65 from 4.6 on.
_SIDE = 32
_CUTOFF = 0.94
_BETA = 7.0


class Resampler:
    """Mono, 16 bits. What comes out has the length of what went in, and is 4 ms late if one of the rates is 8 kHz.

    Has the methods of Pipecat's `BaseAudioResampler`.
    """

    def __init__(self, **_: Any) -> None:
        self._rates = (0, 0)
        self._heard: NDArray[np.float32] = np.empty(0, np.float32)
        """The samples that the next one is made of, and those after it."""
        self._at = 0
        """Where the next sample out lies, in `up`ths of a sample, from the middle of the first filter's length."""

    async def resample(self, audio: bytes, in_rate: int, out_rate: int) -> bytes:
        if in_rate == out_rate:
            return audio
        if self._rates != (in_rate, out_rate):
            self._rates = in_rate, out_rate
            self._begin()
        return self._made(np.frombuffer(audio, np.int16))

    async def flush(self) -> bytes:
        """What is kept back; then it begins anew."""
        if not self._heard.size:
            return b""
        rest = self._made(np.zeros(_filters(*self._rates).shape[1] // 2, np.int16))
        self._begin()
        return rest

    async def reset(self) -> None:
        if self._heard.size:
            self._begin()

    def _begin(self) -> None:
        """As after silence."""
        self._heard = np.zeros(_filters(*self._rates).shape[1] - 1, np.float32)
        self._at = 0

    def _made(self, samples: NDArray[np.int16]) -> bytes:
        filters = _filters(*self._rates)
        up, length = filters.shape
        down = up * self._rates[0] // self._rates[1]
        heard = np.concatenate((self._heard, samples.astype(np.float32)))
        end = (heard.size - length + 1) * up
        places = np.arange(self._at, end, down)
        out: NDArray[np.float32] = np.empty(0, np.float32)
        if places.size:
            parts = sliding_window_view(heard, length)[places // up]
            out = np.einsum("ij,ij->i", parts, filters[places % up])
            self._at = int(places[-1]) + down
        used = min(self._at // up, heard.size)
        self._heard = heard[used:]
        self._at -= used * up
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16).tobytes()


@cache
def _filters(in_rate: int, out_rate: int) -> NDArray[np.float32]:
    """A row for each place that a sample out can have between two samples in; every row adds up to 1."""
    up = out_rate // gcd(in_rate, out_rate)
    low = min(in_rate, out_rate) / in_rate
    side = round(_SIDE / low)
    # The first place out is that of the sample in the middle, the last but 1/up that of the next.
    away = np.arange(1 - side, side + 1) - np.arange(up)[:, None] / up
    rows = np.sinc(_CUTOFF * low * away) * np.i0(_BETA * np.sqrt(np.maximum(0, 1 - (away / side) ** 2)))
    filters: NDArray[np.float32] = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    return filters


def answer_at_once() -> None:
    """Gives this to the carriers' serializers, where this Pipecat has them as we know them."""
    try:
        from pipecat.audio.resamplers.base_audio_resampler import BaseAudioResampler

        if not BaseAudioResampler.__abstractmethods__ <= set(vars(Resampler)):
            log("telephones are heard late: this version of Pipecat's resamplers has changed")
            return
        for carrier in CARRIERS:
            serializer = importlib.import_module(f"pipecat.serializers.{carrier}")
            if hasattr(serializer, _MAKER):
                setattr(serializer, _MAKER, Resampler)
            else:
                log(f"{carrier} is heard late: this version of Pipecat's serializer has changed")
    except ImportError as error:
        log(f"telephones are heard late: {error}")
