"""What the time of a call is made of: the way there and back, the start of a session, and the bot. Pure.

A packet cannot tell what it waited for, but how often a caller has to wait for the other end is a fact of the
protocols, and how long one such round trip takes is measured. So: network = round trips times their length (never more
than the phase took), start = what `/start` took beyond that, bot = all the rest. A bot that prepares its greeting while
the handshakes are still going on is that much faster behind a long way; its piece shows it.
"""

from dataclasses import dataclass

from voicedeploy.call.run import Run, rounded

TRIPS = {"start": 1, "offer": 1, "ice": 1, "dtls": 1, "first_word": 1}
"""WebRTC with a front: one request each for `start` and `offer`; one check that also nominates; DTLS 1.2 without
cookies, which the answering end begins; and the bot, which learns that it may speak half a round trip after the caller
does, heard half a round trip later."""
SOCKET_TRIPS = {"start": 1, "offer": 2, "first_word": 1}
"""A socket is a connection of its own and then a request. Over TLS, one more."""
BY_MEDIA = ("ice", "dtls", "first_word")


@dataclass(frozen=True)
class Pieces:
    """Milliseconds, which add up to the whole."""

    network: float
    start: float
    bot: float

    def to_json(self) -> dict[str, float | None]:
        return {"network": rounded(self.network), "start": rounded(self.start), "bot": rounded(self.bot)}


@dataclass(frozen=True)
class Way:
    """Milliseconds of one round trip. `assumed`: one of the two was not measured, and the other stands for it."""

    signalling: float
    media: float
    assumed: bool = False

    @classmethod
    def of(cls, signalling: float | None, media: float | None) -> "Way | None":
        if signalling is None and media is None:
            return None
        there = media if signalling is None else signalling
        back = signalling if media is None else media
        return cls(there or 0.0, back or 0.0, signalling is None or media is None)


def first_word(run: Run, way: Way, *, tls: bool) -> Pieces | None:
    """None for a call in which nothing was heard."""
    phases = run.phases
    if run.first_word_ms is None or phases.start is None:
        return None
    connecting = (run.connect_ms or 0.0) if run.token_ms is None else 0.0
    spent = {
        "start": connecting + way.signalling,
        "offer": (run.gather_ms or 0.0) + way.signalling,
        **{name: way.media * TRIPS[name] for name in BY_MEDIA},
    }
    if not phases.ice:  # a socket
        spent["offer"] = way.signalling * (SOCKET_TRIPS["offer"] + tls)
    capped = {name: min(spent[name], getattr(phases, name) or 0.0) for name in spent}
    network = sum(capped.values())
    start = phases.start - capped["start"]
    return Pieces(network, start, run.first_word_ms - network - start)


def voice_to_voice(answered_ms: float, way: Way) -> Pieces:
    """One way for what the caller said, and one for the answer."""
    network = min(way.media, answered_ms)
    return Pieces(network, 0.0, answered_ms - network)
