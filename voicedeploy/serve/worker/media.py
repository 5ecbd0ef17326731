"""Less work for the same audio.

aiortc hands every 10 to 20 ms frame to another thread and back. Opus takes well under a millisecond for one;
the two hops, and the interpreter lock they pass around, cost more: here the audio codecs run on the loop.
Pipecat gives aiortc 10 ms at a time, of which two make a packet: here it gives both at once.

And sooner. aiortc keeps four packets back before the first is heard, as a loudspeaker needs it, and whatever more it
held during a gap it keeps for ever: after one lost packet a bot hears 0.3 s late to the end of the call. A bot has no
need of an even stream: here it hears what has come. docs/performance.md has the figures.
"""

import asyncio
import fractions
import queue
import threading
import time
from typing import Any

from .log import log

HELD = "_RTCRtpReceiver__jitter_buffer"


def lighten() -> None:
    """Applies what this aiortc allows, and says in the log what it does not."""
    for what, apply in (
        ("audio encoding stays in its thread", _encode_inline),
        ("audio decoding stays in its thread", _decode_inline),
        ("audio is heard some packets late", _hear_at_once),
        ("audio goes out in halves of a packet", _whole_packets),
    ):
        try:
            applied = apply()
        except (ImportError, AttributeError) as error:
            log(f"{what}: {error}")
            continue
        if not applied:
            log(f"{what}: this version of it has changed")


class _Inline:
    """Stands where the sender keeps its loop, of which it uses only this."""

    async def run_in_executor(self, executor: None, work: Any, *arguments: Any) -> Any:
        return work(*arguments)


def _encode_inline() -> bool:
    from aiortc import RTCRtpSender

    loop = "_RTCRtpSender__loop"
    uses = [f for f in vars(RTCRtpSender).values() if loop in getattr(getattr(f, "__code__", None), "co_names", ())]
    if {f.__name__ for f in uses} != {"__init__", "_next_encoded_frame"}:
        return False
    send = RTCRtpSender.send

    async def send_inline(self: RTCRtpSender, parameters: Any) -> None:
        if self.kind == "audio":
            setattr(self, loop, _Inline())
        await send(self, parameters)

    RTCRtpSender.send = send_inline  # type: ignore[method-assign]
    return True


class _Decoder:
    """Stands where the receiver keeps the queue of its decoder's thread; that thread only waits for the end."""

    def __init__(self, track: Any, held: Any, map_timestamp: Any) -> None:
        self._frames = track._queue
        self._held = held
        self._map_timestamp = map_timestamp
        self._decoder: Any = None
        self._codec = ""
        self._end = threading.Event()

    def put(self, task: Any) -> None:
        if task is None:
            self._end.set()
            return
        codec, encoded = task
        self._decode(codec, encoded)
        # For each packet that comes, aiortc takes one out: what was held during a gap would stay.
        while (more := self._held._remove_frame(0)) is not None:
            more.timestamp = self._map_timestamp(more.timestamp)
            self._decode(codec, more)

    def _decode(self, codec: Any, encoded: Any) -> None:
        import av
        from aiortc.codecs import get_decoder

        if codec.name != self._codec:
            self._decoder, self._codec = get_decoder(codec), codec.name
        try:
            for frame in self._decoder.decode(encoded):
                self._frames.put_nowait(frame)
        except av.FFmpegError as error:
            log(f"a packet of audio could not be decoded: {error}")

    def get(self) -> None:
        self._end.wait()


def _decode_inline() -> bool:
    from aiortc import RTCRtpReceiver
    from aiortc.jitterbuffer import JitterBuffer
    from aiortc.rtcrtpreceiver import RemoteStreamTrack, decoder_worker

    name, started = "_RTCRtpReceiver__decoder_queue", "_RTCRtpReceiver__started"
    mapper = "_RTCRtpReceiver__timestamp_mapper"
    parts = (RTCRtpReceiver.receive, RTCRtpReceiver._handle_rtp_packet, decoder_worker, JitterBuffer.add)
    used = {used for part in parts for used in part.__code__.co_names}
    if not used >= {name, started, mapper, HELD, "get", "_remove_frame"}:
        return False
    receive = RTCRtpReceiver.receive

    async def receive_inline(self: RTCRtpReceiver, parameters: Any) -> None:
        track = self.track
        fresh = isinstance(getattr(self, name), queue.Queue) and not getattr(self, started)
        if fresh and isinstance(track, RemoteStreamTrack) and track.kind == "audio":
            setattr(self, name, _Decoder(track, getattr(self, HELD), getattr(self, mapper).map))
        await receive(self, parameters)

    RTCRtpReceiver.receive = receive_inline  # type: ignore[method-assign]
    return True


def _hear_at_once() -> bool:
    from aiortc import RTCRtpReceiver
    from aiortc.jitterbuffer import JitterBuffer

    if "_prefetch" not in JitterBuffer._remove_frame.__code__.co_names:
        return False
    receive = RTCRtpReceiver.receive

    async def receive_at_once(self: RTCRtpReceiver, parameters: Any) -> None:
        if self.track is not None and self.track.kind == "audio":
            getattr(self, HELD)._prefetch = 1
        await receive(self, parameters)

    RTCRtpReceiver.receive = receive_at_once  # type: ignore[method-assign]
    return True


def _whole_packets() -> bool:
    import av
    import numpy as np
    import pipecat.transports.smallwebrtc.transport as transport

    halves = transport.RawAudioTrack
    used = {"_timestamp", "_sample_rate", "_start", "_chunk_queue", "_samples_per_10ms", "_bytes_per_10ms"}
    if not {*halves.recv.__code__.co_names} >= {*used, "_auto_silence"}:
        return False

    class RawAudioTrack(halves):  # type: ignore[misc, valid-type]
        async def recv(self) -> Any:
            if self._timestamp > 0:
                wait = self._start + self._timestamp / self._sample_rate - time.time()
                if wait > 0:
                    await asyncio.sleep(wait)
            chunks = self._chunk_queue
            if len(chunks) == 1 or not (chunks or self._auto_silence):
                return await super().recv()
            if chunks:
                parts = [chunks.popleft(), chunks.popleft()]
                for _, sent in parts:
                    if sent and not sent.done():
                        sent.set_result(True)
                audio = parts[0][0] + parts[1][0]
            else:
                audio = bytes(2 * self._bytes_per_10ms)
            frame = av.AudioFrame.from_ndarray(np.frombuffer(audio, dtype=np.int16)[None, :], layout="mono")
            frame.sample_rate = self._sample_rate
            frame.pts = self._timestamp
            frame.time_base = fractions.Fraction(1, self._sample_rate)
            self._timestamp += 2 * self._samples_per_10ms
            return frame

    vars(transport)["RawAudioTrack"] = RawAudioTrack
    return True
