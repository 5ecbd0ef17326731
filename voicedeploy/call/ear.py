"""The caller's ear: when each bit of the bot's sound could be heard, and how loud it was."""

from voicedeploy.call.rtp import Packet

AFRESH_S = 0.2
"""Sound after so much silence is a new beginning."""


class Ear:
    """Collects `packets`; `onsets` are the moments at which sound began after at least 200 ms without any.

    What a packet's `arrival` is, the line says: over WebRTC when it came, over a socket when it was played. `reading`
    holds, in seconds, how late the caller itself read what had come.
    """

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.reading: list[float] = []
        self.onsets: list[float] = []
        self.last_audible: float | None = None

    @property
    def first_audible(self) -> float | None:
        return self.onsets[0] if self.onsets else None

    def hear(self, packet: Packet) -> None:
        if packet.audible:
            if self.last_audible is None or packet.arrival - self.last_audible >= AFRESH_S:
                self.onsets.append(packet.arrival)
            self.last_audible = packet.arrival
        self.packets.append(packet)

    def audible(self) -> list[float]:
        """The moments of all packets with sound, in order."""
        return [packet.arrival for packet in self.packets if packet.audible]
