"""The outcome of one call, as values. What each number means is in docs/decisions/0005."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from voicedeploy.call.audio import dbfs
from voicedeploy.call.rtp import Health

Layer = Literal["signalling", "refused", "busy", "no-candidates", "no-pair", "dtls", "socket", "room", "silent"]
"""Where a call failed, from the first request to the first sound. `busy` and `refused` are the front's own words
(503 and 429; 401 and 403); `no-candidates` means that one side named no address; `no-pair` that no packet got
through between the addresses; `room` that the bot did not come into its room; `socket` that a WebSocket was refused,
or broken off before the bot spoke; `silent` that everything connected and nothing was heard."""


@dataclass(frozen=True)
class Failure:
    layer: Layer
    message: str
    hint: str

    def to_json(self) -> dict[str, str]:
        return {"code": self.layer, "message": self.message, "hint": self.hint}


@dataclass(frozen=True)
class Phases:
    """Milliseconds; each begins where the one before ended, None from the phase that was not finished.

    A line without such a phase has 0 there: over a WebSocket, sound can flow as soon as the handshake is answered.

    start: `POST /start` sent until its answer is read (a new TCP and TLS connection included where one is needed).
    offer: until the SDP answer is read: gathering the caller's own candidates, then the POST. Over a WebSocket: until
    its handshake is answered, a new TCP and TLS connection included.
    ice: until the ICE transport is `completed`, a candidate pair nominated.
    dtls: until the DTLS transport is `connected`: from here on audio can flow.
    first_word: until the first sample above -45 dBFS is received; over a WebSocket, until it is played. For a bot
    that does not greet: from the end of the caller's first turn instead, see `Run.greeted`.
    """

    start: float | None = None
    offer: float | None = None
    ice: float | None = None
    dtls: float | None = None
    first_word: float | None = None

    @property
    def total(self) -> float | None:
        parts = (self.start, self.offer, self.ice, self.dtls, self.first_word)
        return None if any(part is None for part in parts) else sum(part for part in parts if part is not None)

    def to_json(self) -> dict[str, float | None]:
        return {name: rounded(getattr(self, name)) for name in ("start", "offer", "ice", "dtls", "first_word")}


@dataclass(frozen=True)
class Exchange:
    """One turn: the caller speaks, the bot answers.

    voice_to_voice_ms: from the packet with the caller's last audible sample leaving to the packet with the bot's
    first audible sample arriving (over a WebSocket: being played); None if no answer came in time. `overlapped`: the
    bot was still talking when the caller ended, so that the answer is counted from its next beginning after a pause of
    200 ms.
    barge_in_ms: from the caller's first audible sample leaving to the last of the bot's that was heard before it gave
    way; None where nobody barged in, or the bot was silent just then. What a carrier was told to clear is not heard.
    """

    asked: str
    voice_to_voice_ms: float | None
    heard: str | None = None
    said: str | None = None
    overlapped: bool = False
    spoke_from_ms: float = 0.0
    spoke_until_ms: float = 0.0
    barge_in_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "voice_to_voice_ms": rounded(self.voice_to_voice_ms),
            "heard": self.heard,
            "said": self.said,
            "asked": self.asked,
            "overlapped": self.overlapped,
            "spoke_from_ms": rounded(self.spoke_from_ms),
            "spoke_until_ms": rounded(self.spoke_until_ms),
            "barge_in_ms": rounded(self.barge_in_ms),
        }


@dataclass(frozen=True)
class CandidatePair:
    """The nominated pair, as `type address:port`; `relay_protocol` is the way to the caller's own TURN server."""

    local: str
    remote: str
    protocol: str = "udp"
    relay_protocol: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return {
            "local": self.local,
            "remote": self.remote,
            "protocol": self.protocol,
            "relay_protocol": self.relay_protocol,
        }


@dataclass(frozen=True)
class Lag:
    """How much the caller itself was late: its own share in the other figures.

    reading: from a packet's arrival in the kernel until the caller read it (gaps and lateness do not contain it).
    speaking: from the moment a 20 ms frame was due until it left.
    """

    reading_p95_ms: float = 0.0
    reading_max_ms: float = 0.0
    speaking_p95_ms: float = 0.0
    speaking_max_ms: float = 0.0


@dataclass(frozen=True)
class Run:
    """One call. Times ending in `_ms` inside a run count from `POST /start`."""

    ok: bool
    started_at: str
    """UTC, ISO 8601."""
    session_id: str | None = None
    error: Failure | None = None
    phases: Phases = field(default_factory=Phases)
    first_word_ms: float | None = None
    joined_ms: float | None = None
    """In a room, where nothing is heard: until the bot was in it."""
    greeted: bool | None = None
    """False: the bot waited to be spoken to. `first_word_ms` is then set-up plus answer; the time in which the
    caller waited and spoke (`left_out_ms`) is not counted."""
    left_out_ms: float = 0.0
    greeting: str | None = None
    turns: tuple[Exchange, ...] = ()
    candidate_pair: CandidatePair | None = None
    audio: Health = field(default_factory=Health)
    ahead_ms: float | None = None
    """Over a WebSocket: the most of the bot's sound that had come before its turn to be played. What is sent so far
    ahead has to be cleared when the caller barges in."""
    lag: Lag = field(default_factory=Lag)
    token_ms: float | None = None
    connect_ms: float | None = None
    gather_ms: float | None = None
    round_trip_ms: float | None = None
    """The median of the way to the bot and back, as media goes: by checks of the candidate pair, or by pings of the
    WebSocket. None where nobody answered those."""
    waited_ms: float = 0.0
    """Time spent on a busy front before the `POST /start` that was accepted."""
    duration_ms: float = 0.0
    same_machine: bool = False
    notes: tuple[str, ...] = ()
    levels: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    """(ms, dBFS) of the bot, one for every 60 ms: for the picture of the call."""

    def failed(self, failure: Failure) -> "Run":
        return replace(self, ok=False, error=failure)

    @property
    def answered(self) -> int:
        return sum(turn.voice_to_voice_ms is not None for turn in self.turns)

    @property
    def barge_in_ms(self) -> float | None:
        """The worst of its interruptions."""
        return max((turn.barge_in_ms for turn in self.turns if turn.barge_in_ms is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        return {
            "session_id": self.session_id,
            "ok": self.ok,
            "error": self.error.to_json() if self.error else None,
            "phases_ms": self.phases.to_json(),
            "first_word_ms": rounded(self.first_word_ms),
            "turns": [turn.to_json() for turn in self.turns],
            "candidate_pair": self.candidate_pair.to_json() if self.candidate_pair else None,
            "audio": {
                "packets": self.audio.packets,
                "lost": self.audio.lost,
                "jitter_ms": rounded(self.audio.jitter_ms),
                "max_gap_ms": rounded(self.audio.max_gap_ms),
                "max_gap_anywhere_ms": rounded(self.audio.max_gap_anywhere_ms),
                "gaps": self.audio.gaps,
                "late_p95_ms": rounded(self.audio.late_p95_ms),
                "late_max_ms": rounded(self.audio.late_max_ms),
                "loudest_dbfs": rounded(dbfs(self.audio.loudest)),
                "ahead_ms": rounded(self.ahead_ms),
            },
            "joined_ms": rounded(self.joined_ms),
            "started_at": self.started_at,
            "greeted": self.greeted,
            "greeting": self.greeting,
            "barge_in_ms": rounded(self.barge_in_ms),
            "left_out_ms": rounded(self.left_out_ms),
            "token_ms": rounded(self.token_ms),
            "connect_ms": rounded(self.connect_ms),
            "gather_ms": rounded(self.gather_ms),
            "round_trip_ms": rounded(self.round_trip_ms),
            "waited_ms": rounded(self.waited_ms),
            "duration_ms": rounded(self.duration_ms),
            "caller": {
                "reading_p95_ms": rounded(self.lag.reading_p95_ms),
                "reading_max_ms": rounded(self.lag.reading_max_ms),
                "speaking_p95_ms": rounded(self.lag.speaking_p95_ms),
                "speaking_max_ms": rounded(self.lag.speaking_max_ms),
            },
            "same_machine": self.same_machine,
            "notes": list(self.notes),
        }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
