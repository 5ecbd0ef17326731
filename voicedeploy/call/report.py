"""Many runs as one answer: the summary, the verdict in plain words, and the JSON of `voicedeploy call`."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from voicedeploy.call import goals
from voicedeploy.call.room import ROOMS
from voicedeploy.call.run import Run, rounded

LOST = 0.01
OWN_LAG_MS = 10.0


@dataclass(frozen=True)
class Spread:
    """Milliseconds; None without a single measurement."""

    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        ordered = sorted(values)
        return cls(_quantile(ordered, 0.5), _quantile(ordered, 0.95))

    def to_json(self) -> dict[str, float | None]:
        return {"p50": rounded(self.p50), "p95": rounded(self.p95)}


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Linear between the two nearest values (Hyndman and Fan's type 7)."""
    if not ordered:
        return None
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(frozen=True)
class Summary:
    """Over the calls that were ok; voice to voice over all their answered turns."""

    ok: int
    failed: int
    first_word_ms: Spread
    voice_to_voice_ms: Spread
    barge_in_ms: Spread
    """Over all turns in which a bot that was talking was interrupted."""
    phases_ms: dict[str, Spread]
    jitter_ms: Spread
    max_gap_ms: Spread
    late_p95_ms: Spread
    lost: int
    packets: int
    failures: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "failed": self.failed,
            "first_word_ms": self.first_word_ms.to_json(),
            "voice_to_voice_ms": self.voice_to_voice_ms.to_json(),
            "barge_in_ms": self.barge_in_ms.to_json(),
            "phases_ms": {name: spread.to_json() for name, spread in self.phases_ms.items()},
            "audio": {
                "packets": self.packets,
                "lost": self.lost,
                "jitter_ms": self.jitter_ms.to_json(),
                "max_gap_ms": self.max_gap_ms.to_json(),
                "late_p95_ms": self.late_p95_ms.to_json(),
            },
            "failures": self.failures,
        }


@dataclass(frozen=True)
class Verdict:
    """One sentence about one promise. `holds` is None where nothing was measured."""

    about: str
    holds: bool | None
    text: str


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "as deployed"  # on a target voicedeploy is its files, without the metadata of an installation


@dataclass(frozen=True)
class Environment:
    """Where the calls were made from."""

    system: str
    python: str
    cores: int
    load: float
    aiortc: str
    aioice: str
    voicedeploy: str
    processes: int = 1

    @classmethod
    def here(cls, *, processes: int = 1) -> "Environment":
        return cls(
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=platform.python_version(),
            cores=os.cpu_count() or 1,
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
            aiortc=version("aiortc"),
            aioice=version("aioice"),
            voicedeploy=_version("voicedeploy"),
            processes=processes,
        )


@dataclass(frozen=True)
class Report:
    """`url` is without secrets. `sessions` calls were made at once, in as many rounds as there were runs."""

    url: str
    runs: tuple[Run, ...]
    environment: Environment
    sessions: int = 1
    transport: str = "webrtc"

    @property
    def ok(self) -> bool:
        return bool(self.runs) and all(run.ok for run in self.runs)

    @property
    def same_machine(self) -> bool:
        return any(run.same_machine for run in self.runs)

    @property
    def summary(self) -> Summary:
        good = [run for run in self.runs if run.ok]
        answers = [t.voice_to_voice_ms for run in good for t in run.turns if t.voice_to_voice_ms is not None]
        return Summary(
            ok=len(good),
            failed=len(self.runs) - len(good),
            first_word_ms=Spread.of(run.first_word_ms for run in good if run.first_word_ms is not None),
            voice_to_voice_ms=Spread.of(answers),
            barge_in_ms=Spread.of(t.barge_in_ms for run in good for t in run.turns if t.barge_in_ms is not None),
            phases_ms={
                name: Spread.of(ms for run in good if (ms := getattr(run.phases, name)) is not None)
                for name in ("start", "offer", "ice", "dtls", "first_word")
            },
            jitter_ms=Spread.of(run.audio.jitter_ms for run in good),
            max_gap_ms=Spread.of(run.audio.max_gap_ms for run in good),
            late_p95_ms=Spread.of(run.audio.late_p95_ms for run in good),
            lost=sum(run.audio.lost for run in good),
            packets=sum(run.audio.packets for run in good),
            failures=dict(Counter(run.error.layer for run in self.runs if run.error)),
        )

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        summary = self.summary
        if self.transport in ROOMS:
            return (_joined(self.runs, summary),)
        return (
            _heard(self.runs, summary),
            _first_word(self.runs, summary, self.transport),
            _voice_to_voice(summary, same_machine=self.same_machine),
            *_barge_in(summary),
            _audio(summary, self.runs),
            *_own_lag(self.runs),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "transport": self.transport,
            "runs": [run.to_json() for run in self.runs],
            "summary": self.summary.to_json(),
            "verdict": [asdict(verdict) for verdict in self.verdict],
            "sessions": self.sessions,
            "environment": asdict(self.environment),
        }


def _heard(runs: Sequence[Run], summary: Summary) -> Verdict:
    if not summary.failed:
        return Verdict("heard", bool(runs), f"The bot was heard in {summary.ok} of {len(runs)} calls.")
    why = ", ".join(f"{count} {layer}" for layer, count in summary.failures.items())
    return Verdict("heard", False, f"{summary.failed} of {len(runs)} calls failed: {why}.")


def _joined(runs: Sequence[Run], summary: Summary) -> Verdict:
    """In a room the bot is not heard from here: that it went in is all that is said."""
    if summary.failed:
        return _heard(runs, summary)
    p50 = Spread.of(run.joined_ms for run in runs if run.joined_ms is not None).p50 or 0.0
    text = f"The bot joined its room in {summary.ok} of {len(runs)} calls, after {_s(p50)}. Whether it is heard there"
    return Verdict("joined", bool(runs), f"{text}, only somebody in the room can tell.")


def _first_word(runs: Sequence[Run], summary: Summary, transport: str) -> Verdict:
    p50 = summary.first_word_ms.p50
    if p50 is None:
        return Verdict("first word", None, "No first word was heard.")
    goal = goals.first_word(transport)
    silent = any(run.greeted is False for run in runs if run.ok)
    text = f"First word after {_s(p50)}: "
    if p50 <= goal.good:
        text += f"well under the {goal.text}."
    elif p50 <= goal.most:
        text += f"within the {goal.text}, and no more."
    else:
        text += f"more than the {goal.text}. {_largest_phase(summary)}"
    if silent:
        text += " (The bot does not greet: this is set-up plus its first answer.)"
    return Verdict("first word", p50 <= goal.most, text)


def _largest_phase(summary: Summary) -> str:
    reasons = {
        "start": "the machine or process starts cold: keep one warm (`pool.warm`)",
        "offer": "a STUN or TURN server that does not answer costs seconds; over a socket, its handshake",
        "ice": "the path is being found: the direct one is blocked, or far away",
        "dtls": "the encrypted channel comes up: the bot's process is busy, or far away",
        "first_word": "the bot itself prepares its greeting: models loaded at connect, a slow first service",
    }
    name = max(reasons, key=lambda phase: summary.phases_ms[phase].p50 or 0.0)
    return f"Most of it is `{name}` ({_s(summary.phases_ms[name].p50 or 0.0)}): {reasons[name]}."


def _voice_to_voice(summary: Summary, *, same_machine: bool) -> Verdict:
    p50 = summary.voice_to_voice_ms.p50
    if p50 is None:
        return Verdict("voice to voice", None, "No turn was answered.")
    goal = goals.voice_to_voice(same_machine=same_machine)
    text = f"Voice to voice {_s(p50)}"
    if p50 <= goal.good:
        text += f": holds the {goal.text}."
    elif p50 <= goal.most:
        text += f": within the {goal.text}."
    else:
        text += f": slower than the {goal.text}. The segments in the bot's log show which service takes it."
    return Verdict("voice to voice", p50 <= goal.most, text)


def _barge_in(summary: Summary) -> list[Verdict]:
    """No promise is made here: what is polite depends on the conversation."""
    p50 = summary.barge_in_ms.p50
    if p50 is None:
        return []
    return [Verdict("barge-in", None, f"Interrupted, the bot talks on for {_s(p50)}.")]


def _audio(summary: Summary, runs: Sequence[Run]) -> Verdict:
    if not summary.packets:
        return Verdict("audio", None, "No audio was received.")
    share = summary.lost / (summary.packets + summary.lost)
    holed = sum(run.audio.gaps > 0 for run in runs if run.ok)
    if share <= LOST and not holed:
        lost = "nothing lost" if not summary.lost else f"{share:.1%} lost"
        return Verdict("audio", True, f"Clean audio: {lost}, no gap above 60 ms.")
    parts = [f"{share:.1%} of the packets lost"] if share > LOST else []
    if holed:
        parts.append(f"audible gaps above 60 ms in {holed} of {summary.ok} calls")
    return Verdict("audio", False, f"Damaged audio: {' and '.join(parts)}.")


def _own_lag(runs: Sequence[Run]) -> list[Verdict]:
    worst = max((max(run.lag.reading_p95_ms, run.lag.speaking_p95_ms) for run in runs), default=0.0)
    if worst <= OWN_LAG_MS:
        return []
    text = f"The caller itself was up to {worst:.0f} ms late: call from another machine, or fewer at once."
    return [Verdict("caller", False, text)]


def _s(ms: float) -> str:
    return f"{ms / 1000:.2f} s"
