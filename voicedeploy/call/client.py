"""One real call, from `POST /start` to hanging up."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from aiortc import RTCDataChannel

from voicedeploy.call.audio import dbfs
from voicedeploy.call.callee import Callee
from voicedeploy.call.connection import Media
from voicedeploy.call.ear import Ear
from voicedeploy.call.microphone import Microphone
from voicedeploy.call.options import CallOptions
from voicedeploy.call.rtp import health
from voicedeploy.call.rtvi import Transcript, client_ready, ping
from voicedeploy.call.run import Exchange, Failure, Lag, Phases, Run
from voicedeploy.call.script import Script, Turn
from voicedeploy.call.signalling import Answer, CallFailed, Signalling, Started

LOOK_S = 0.02
"""How often the caller looks whether the bot is still talking; times are taken from packets, not from looks."""
OVERLAP_S = 0.2
"""A bot that was audible so shortly before the caller ended was talking over it."""
OVERLAPPED_S = 3.0
"""A bot that talked over the caller has most likely said all it wanted: an echo, say."""
TRUSTED_S = 3.0
"""A bot that says it is speaking, but is silent, is believed for so long."""
LEVEL_FRAMES = 3

Tell = Callable[[str], None]
"""Told in a few words how far the call is."""


async def call(
    target: Callee,
    script: Script,
    options: CallOptions | None = None,
    *,
    progress: Tell | None = None,
) -> Run:
    """Calls once and never raises for what the target does: the run says which layer failed.

    `ok` means: connected, and at least one turn was answered (or, with an empty script, a greeting was heard). A
    bot that talks over the caller, an echo for one, was heard too, though nothing can be timed.
    """
    await warm_up()
    return await place(target, script, options or CallOptions(), progress)


async def place(target: Callee, script: Script, options: CallOptions, progress: Tell | None) -> Run:
    """A call from a process that is warm."""
    return await _Call(target, script, options, progress or (lambda _: None)).run()


@dataclass(frozen=True)
class _Spoken:
    turn: Turn
    began: float
    ended: float
    answered: float | None
    overlapped: bool


class _Call:
    def __init__(self, target: Callee, script: Script, options: CallOptions, progress: Tell) -> None:
        self._target = target
        self._script = script
        self._options = options
        self._progress = progress
        self._began_at = datetime.now(UTC)
        self._opened = time.monotonic()
        self._media: Media | None = None
        self._ear = Ear()  # codecs are made before the clock runs
        self._microphone = Microphone()
        self._transcript = Transcript()
        self._spoken: list[_Spoken] = []
        self._token_s: float | None = None
        self._first_try: float | None = None
        self._start_sent: float | None = None
        self._started_at: float | None = None
        self._answered_at: float | None = None
        self._started: Started | None = None
        self._hung_up: float | None = None
        self._pinging: asyncio.Future[None] | None = None

    async def run(self) -> Run:
        signalling = Signalling(self._target, timeout_s=self._options.http_timeout_s)
        failure: Failure | None = None
        try:
            media = await self._connect(signalling)
            await self._talk(media)
        except CallFailed as why:
            failure = why.failure
            if self._started and self._started.session_id and not self._connected:
                await signalling.abandon(self._started.session_id)
        finally:
            self._hung_up = time.monotonic()
            run = self._result(failure, signalling.connect_s)
            if self._pinging is not None:
                self._pinging.cancel()
            if self._media is not None:
                await self._media.close()
            await signalling.close()
        return run

    @property
    def _connected(self) -> bool:
        return self._media is not None and self._media.moments.dtls is not None

    # ------------------------------------------------------------------ set-up

    async def _connect(self, signalling: Signalling) -> Media:
        self._started = await self._start(signalling)
        self._started_at = time.monotonic()
        self._media = media = Media(
            self._ear,
            self._microphone,
            self._started.ice_servers,
            relay_only=self._options.relay_only,
            loopback=self._target.on_loopback,
        )
        media.channel.on("open", lambda: media.channel.send(client_ready()))
        media.channel.on("message", self._transcript.take)
        self._pinging = asyncio.ensure_future(_ping(media.channel))
        answer: Answer = await signalling.offer(self._started.session_id, await media.offer())
        self._answered_at = time.monotonic()
        await media.accept(answer)
        await media.connected(self._options.connect_timeout_s)
        self._progress("connected")
        return media

    async def _start(self, signalling: Signalling) -> Started:
        """Asks until the front has room or patience ends; a token is bought anew for each try, as the page does."""
        deadline = time.monotonic() + self._options.busy_wait_s
        while True:
            before = time.monotonic()
            await signalling.authorize()
            self._start_sent = time.monotonic()
            self._first_try = self._first_try or self._start_sent
            self._token_s = self._start_sent - before
            try:
                return await signalling.start()
            except CallFailed as why:
                left = deadline - time.monotonic()
                if why.retry_after_s is None or left <= 0:
                    raise
                self._progress("busy: waiting for a free slot")
                await asyncio.sleep(min(why.retry_after_s, left))

    # ------------------------------------------------------------------ conversation

    async def _talk(self, media: Media) -> None:
        ear = media.ear
        patience = self._options.greeting_timeout_s
        if await _until(lambda: ear.first_audible is not None or media.ended, patience) and not media.ended:
            self._progress(f"first word {(ear.first_audible or 0.0) - (self._start_sent or 0.0):.2f} s")
            if self._options.greeting_suffices:
                return
            await self._listen_out(media)
        for number, turn in enumerate(self._script.turns, 1):
            if media.ended:
                break
            self._progress(f"turn {number} of {len(self._script.turns)}")
            await self._exchange(media, turn, last=number == len(self._script.turns))
        heard = ear.first_audible is not None
        answered = any(one.answered is not None or one.overlapped for one in self._spoken)
        if not heard or (self._script.turns and not answered):
            raise CallFailed(self._silence(media))

    async def _exchange(self, media: Media, turn: Turn, *, last: bool) -> None:
        ear = media.ear
        began = time.monotonic()
        said = media.microphone.say(turn.speech)
        if not await _until(lambda: said.done() or media.ended, turn.speech.seconds + 2) or not said.done():
            return
        ended = said.result()
        before = [p.arrival for p in ear.packets[-100:] if p.audible and p.arrival <= ended]
        overlapped = bool(before) and before[-1] > ended - OVERLAP_S

        def answer() -> float | None:
            return next((onset for onset in ear.onsets if onset > ended), None)

        patience = self._options.answer_timeout_s
        patience = min(patience, OVERLAPPED_S) if overlapped else patience
        await _until(lambda: answer() is not None or media.ended, patience)
        self._spoken.append(_Spoken(turn, began, ended, answer(), overlapped))
        if answer() is not None and (self._options.hear_out or not last):
            await self._listen_out(media)

    async def _listen_out(self, media: Media) -> None:
        """Returns when the bot has been silent for `quiet_s`, and says nothing to the contrary itself."""

        def over() -> bool:
            silent = time.monotonic() - (media.ear.last_audible or 0.0)
            claims = self._transcript.speaking and silent < TRUSTED_S
            return media.ended or (silent >= self._options.quiet_s and not claims)

        await _until(over, self._options.monologue_timeout_s)

    # ------------------------------------------------------------------ judgement

    def _silence(self, media: Media) -> Failure:
        judged = health(media.ear.packets)
        last = f"; over RTVI it said: {self._transcript.errors[-1]}" if self._transcript.errors else ""
        session = self._started.session_id if self._started else None
        logs = f"voicedeploy logs --session {session}" if session else "voicedeploy logs"
        hint = f"`{logs}`: is a service's key missing, or did it fail?"
        if media.ear.first_audible is not None:
            what = "the bot spoke, but gave no answer to what was said to it"
            hint = "speech-to-text or the language model gave nothing: " + hint
        elif media.ended:
            what = "the bot ended the call before it said anything"
        elif not judged.packets:
            what = "connected, but no audio packet came"
            hint = "does the bot's transport have `audio_out_enabled=True`? " + hint
        else:
            what = f"connected, and {judged.packets} packets came, all silent (loudest {dbfs(judged.loudest):.0f} dBFS)"
        return Failure("silent", what + last, hint)

    def _result(self, failure: Failure | None, connect_s: float | None) -> Run:
        start = self._start_sent if self._start_sent is not None else self._opened
        end = self._hung_up or time.monotonic()
        media = self._media
        moments = media.moments if media else None
        first = self._first_word(media, start)
        phases = Phases(
            start=_ms(start, self._started_at) if self._start_sent is not None else None,
            offer=_ms(self._started_at, self._answered_at),
            ice=_ms(self._answered_at, moments.ice if moments else None),
            dtls=_ms(moments.ice, moments.dtls) if moments else None,
            first_word=first[0] if first else None,
        )
        greeted = None if media is None or moments is None or moments.dtls is None else bool(first and first[1])
        return Run(
            ok=failure is None,
            started_at=self._began_at.isoformat(timespec="milliseconds"),
            session_id=self._started.session_id if self._started else None,
            error=failure,
            phases=phases,
            first_word_ms=first[3] if first else None,
            greeted=greeted,
            left_out_ms=first[2] if first else 0.0,
            greeting=self._transcript.said_between(0.0, self._spoken[0].began if self._spoken else end),
            turns=tuple(self._exchanges(start, end)),
            candidate_pair=media.pair() if media else None,
            audio=health(media.ear.packets) if media else health(()),
            lag=_lag(media) if media else Lag(),
            token_ms=self._token_s * 1000 if self._token_s and (self._target.key or self._target.invite) else None,
            connect_ms=connect_s * 1000 if connect_s is not None else None,
            gather_ms=_ms(self._started_at, moments.gathered) if moments else None,
            waited_ms=_ms(self._first_try, start) or 0.0,
            duration_ms=(end - start) * 1000,
            same_machine=media.on_same_machine() if media else False,
            notes=tuple(self._notes(greeted, media)),
            levels=tuple(_levels(media, start)) if media else (),
        )

    def _first_word(self, media: Media | None, start: float) -> tuple[float, bool, float, float] | None:
        """Milliseconds of the phase, whether the bot spoke unasked, milliseconds left out, and the whole."""
        if media is None or media.moments.dtls is None or media.ear.first_audible is None:
            return None
        dtls, heard = media.moments.dtls, media.ear.first_audible
        asked = self._spoken[0].ended if self._spoken else None
        if asked is None or heard <= asked:
            return (heard - dtls) * 1000, True, 0.0, (heard - start) * 1000
        return (heard - asked) * 1000, False, (asked - dtls) * 1000, (heard - start - (asked - dtls)) * 1000

    def _exchanges(self, start: float, end: float) -> list[Exchange]:
        ends = [*(later.began for later in self._spoken[1:]), end + 1]
        return [
            Exchange(
                asked=one.turn.text,
                voice_to_voice_ms=_ms(one.ended, one.answered),
                heard=self._transcript.heard_between(one.began, until),
                said=self._transcript.said_between(one.began, until),
                overlapped=one.overlapped,
                spoke_from_ms=(one.began - start) * 1000,
                spoke_until_ms=(one.ended - start) * 1000,
            )
            for one, until in zip(self._spoken, ends, strict=False)
        ]

    def _notes(self, greeted: bool | None, media: Media | None) -> list[str]:
        notes = []
        if greeted is False and self._spoken:
            notes.append(
                "the bot does not greet: the first word is set-up plus its first answer, "
                "without the time in which the caller waited and spoke"
            )
        if media is not None and media.ended and self._connected:
            notes.append("the bot hung up")
        if over := sum(one.overlapped for one in self._spoken):
            notes.append(f"the bot talked over the end of {over} of {len(self._spoken)} turns")
        if unanswered := sum(one.answered is None and not one.overlapped for one in self._spoken):
            notes.append(f"{unanswered} of {len(self._spoken)} turns got no answer")
        notes += [f"the bot reports an error: {error}" for error in dict.fromkeys(self._transcript.errors)]
        return notes


async def _ping(channel: RTCDataChannel) -> None:
    while channel.readyState in ("connecting", "open"):
        if channel.readyState == "open":
            channel.send(ping())
        await asyncio.sleep(1)


async def _until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - many conditions, one of them the clock
        await asyncio.sleep(LOOK_S)
    return done()


def _ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else (end - start) * 1000


def _lag(media: Media) -> Lag:
    reading, speaking = sorted(media.ear.reading), sorted(media.microphone.lateness)
    return Lag(_p95(reading), _p95(reading, 1.0), _p95(speaking), _p95(speaking, 1.0))


def _p95(ordered: list[float], share: float = 0.95) -> float:
    return ordered[int(share * (len(ordered) - 1))] * 1000 if ordered else 0.0


def _levels(media: Media, start: float) -> list[tuple[float, float]]:
    packets = media.ear.packets
    edges = [*range(0, len(packets), LEVEL_FRAMES), len(packets)]
    return [
        (round((packets[a].arrival - start) * 1000), round(dbfs(max(p.peak for p in packets[a:b]))))
        for a, b in pairwise(edges)
        if b > a
    ]


async def warm_up() -> None:
    """Everything that the first call of a process would pay for: codecs, certificates, a peer connection."""
    media = Media(Ear(), Microphone(), (), relay_only=False, loopback=True)
    try:
        await media.offer()
    finally:
        await media.close()
