"""Pipecat's own protocol for plain WebSockets: protobuf frames (pipecat/frames/frames.proto), with RTVI inside.

Few fields of few messages: they are written and read here, without a compiler's help.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from voicedeploy.call.audio import Samples
from voicedeploy.call.lines.socket.wire import Clear, Message, Note, Order, Play
from voicedeploy.call.rtvi import client_ready

AUDIO, MESSAGE, INTERRUPTION = 2, 4, 5
"""Fields of `Frame`."""
SOUND, RATE, CHANNELS = 3, 4, 5
"""Fields of `AudioRawFrame`."""
DATA = 1
"""Field of `MessageFrame`."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How a field is written, in protobuf's numbers."""


class Plain:
    """16 kHz towards the bot, which is what its pipeline wants; what comes back says its own rate."""

    transport = "websocket"
    rate: int = 16_000
    frame_s: float = 0.02
    path: str = "/ws-client"

    def form(self) -> list[tuple[str, str]]:
        return []

    def opening(self, parameters: Mapping[str, str]) -> list[Message]:
        return [_field(MESSAGE, _field(DATA, client_ready().encode()))]

    def media(self, samples: Samples) -> Message:
        sound = _field(SOUND, samples.astype("<i2").tobytes())
        return _field(AUDIO, sound + _number(RATE, self.rate) + _number(CHANNELS, 1))

    def dtmf(self, digit: str) -> Message | None:
        return None

    def played(self, name: str) -> Message | None:
        return None

    def cleared(self, marks: Sequence[str]) -> list[Message]:
        return []

    def closing(self) -> list[Message]:
        return []

    def orders(self, message: Message) -> list[Order]:
        if isinstance(message, str):
            return []
        try:
            return [order for at, value in _fields(message) if (order := _order(at, value)) is not None]
        except (ValueError, IndexError):
            return []


def _order(at: int, value: int | bytes) -> Order | None:
    if not isinstance(value, bytes):
        return None
    inside = dict(_fields(value))
    sound, text = inside.get(SOUND), inside.get(DATA)
    if at == AUDIO and isinstance(sound, bytes):
        channels = inside.get(CHANNELS)
        samples = np.frombuffer(sound, "<i2")[:: channels if isinstance(channels, int) and channels else 1]
        rate = inside.get(RATE)
        return Play(samples, rate if isinstance(rate, int) and rate else Plain.rate)
    if at == MESSAGE and isinstance(text, bytes):
        return Note(text.decode())
    return Clear() if at == INTERRUPTION else None


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field. Raises ValueError, IndexError for what is not protobuf."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        match tag & 7:
            case 0:
                value, at = _read_varint(data, at)
                yield tag >> 3, value
            case 2:
                length, at = _read_varint(data, at)
                if at + length > len(data):
                    raise ValueError("cut off")
                yield tag >> 3, data[at : at + length]
                at += length
            case 1 | 5 as fixed:
                at += 8 if fixed == FIXED64 else 4
            case other:
                raise ValueError(f"wire type {other}")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
