"""When each packet of the bot arrived, from the kernel, and what is in it.

Arrival is taken from the kernel's own receive stamp where there is one (Linux, a UDP socket), so that a caller that
is busy for a moment does not measure itself; how late it read the packet is kept as `reading`. Packets go past
aiortc's jitter buffer and decoder thread: a listener needs them, a measurement does not. (Its receiver reports go with
them: bots on aiortc use those for statistics only.)
"""

import struct
import sys
import time
from socket import SOCK_DGRAM
from typing import Any

from aioice import Connection
from aioice.ice import StunProtocol
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from voicedeploy.call.audio import AUDIBLE, OpusDecoder
from voicedeploy.call.ear import Ear
from voicedeploy.call.rtp import Packet

if sys.platform == "linux":
    from fcntl import ioctl

SIOCGSTAMPNS = 0x80108907
"""linux/sockios.h, SIOCGSTAMPNS_NEW: when the datagram last read from a socket came in, as two 64-bit numbers."""
OLDEST_S = 5.0
"""A stamp older than this is none: the wall clock was set."""
UNREAD = 1024
"""Stamps kept for packets that are not yet decrypted; more means that they never will be."""


class Listening:
    """Tells `ear` of each packet."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._decoder = OpusDecoder()
        self._arrivals: dict[bytes, float] = {}

    def attach(self, connection: Connection, receiver: RTCRtpReceiver) -> None:
        """Listens to a connection that has gathered its candidates. Neither library has a public place for this.

        Every socket is watched: a bot may send on another pair than the one that the caller nominated.
        """
        for protocol in connection._protocols:
            self._watch(protocol)
        setattr(receiver, "_handle_rtp_packet", self._packet)  # noqa: B010 - a method, replaced on this one object

    def _watch(self, protocol: StunProtocol) -> None:
        pass_on = protocol.datagram_received
        sock = protocol.transport.get_extra_info("socket")
        fileno = sock.fileno() if sock is not None and sock.type == SOCK_DGRAM else -1

        def datagram(data: bytes, addr: tuple[Any, ...]) -> None:
            if len(data) >= 12 and data[0] >> 6 == 2 and not 64 <= data[1] & 0x7F < 96:
                if len(self._arrivals) > UNREAD:
                    self._arrivals.clear()
                self._arrivals[data[2:12]] = self._arrival(fileno)
            pass_on(data, addr)

        setattr(protocol, "datagram_received", datagram)  # noqa: B010

    def _arrival(self, fileno: int) -> float:
        """Monotonic seconds of the datagram that was just read from this socket."""
        age = time.time() - stamp if (stamp := _kernel_stamp(fileno)) else 0.0
        age = age if 0 <= age < OLDEST_S else 0.0
        self._ear.reading.append(age)
        return time.monotonic() - age

    async def _packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        header = struct.pack("!HLL", packet.sequence_number, packet.timestamp, packet.ssrc)
        arrival = self._arrivals.pop(header, None) or time.monotonic()
        peak = self._decoder.peak(packet.payload) if packet.payload else 0
        heard = Packet(packet.ssrc, packet.sequence_number, packet.timestamp, arrival, peak, peak >= AUDIBLE)
        self._ear.hear(heard)


def _kernel_stamp(fileno: int) -> float:
    """Wall-clock seconds, 0 where the kernel does not say."""
    if fileno < 0 or sys.platform != "linux":
        return 0.0
    try:
        answer: Any = ioctl(fileno, SIOCGSTAMPNS, b"\0" * 16)
    except OSError:
        return 0.0
    seconds, nanoseconds = struct.unpack("qq", answer)
    return float(seconds) + float(nanoseconds) / 1e9
