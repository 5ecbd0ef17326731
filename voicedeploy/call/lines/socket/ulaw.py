"""G.711 µ-law, what telephone networks carry: one byte a sample at 8 kHz."""

import numpy as np

from voicedeploy.call.audio import Samples

BIAS, CLIP = 0x84, 32635
SILENCE = b"\xff"


def encode(samples: Samples) -> bytes:
    wide = samples.astype(np.int32)
    size = np.minimum(np.abs(wide), CLIP) + BIAS
    exponent = np.frexp(size)[1] - 8
    mantissa = (size >> (exponent + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    return bytes((~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8))


def decode(data: bytes) -> Samples:
    return _TABLE[np.frombuffer(data, np.uint8)]


def _table() -> Samples:
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + BIAS << (code >> 4 & 0x07)) - BIAS
    return np.where(code & 0x80, -size, size).astype(np.int16)


_TABLE = _table()
