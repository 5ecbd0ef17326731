"""Media over a WebSocket: what phone carriers and Pipecat's WebSocket clients speak."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voicedeploy.call.audio import Speech, samples_of
from voicedeploy.call.callee import Callee
from voicedeploy.call.ear import Ear
from voicedeploy.call.lines.line import ASK_AGAIN_S, Moments, Said
from voicedeploy.call.lines.socket.address import dialled, stands_at
from voicedeploy.call.lines.socket.handshake import opened
from voicedeploy.call.lines.socket.mouth import Mouth
from voicedeploy.call.lines.socket.player import Player
from voicedeploy.call.lines.socket.ringing import Ringing
from voicedeploy.call.lines.socket.wire import Clear, Mark, Message, Note, Order, Play, Wire
from voicedeploy.call.options import CallOptions
from voicedeploy.call.rtvi import Transcript
from voicedeploy.call.run import CandidatePair, Failure
from voicedeploy.call.script import Script
from voicedeploy.call.signalling import Signalling, Started

HANGING_UP = (1000, 1001, 1005)
"""Close codes of RFC 6455 by which a bot ends a call in good order."""
FAREWELL_S = 1.0
PONG_S = 2.0


class SocketLine:
    """A packet's `arrival` is when its 20 ms were played, see player.py; `ahead_ms` says how early they had come."""

    def __init__(self, target: Callee, options: CallOptions, wire: Wire) -> None:
        self.ear = Ear()
        self.transcript = Transcript()
        self.moments = Moments()
        self._target = target
        self._options = options
        self._wire = wire
        self._ringing = Ringing(target, wire.transport, wire.form())
        self._stream = target.stream(wire.transport)
        self._mouth = Mouth(wire)
        self._player = Player(self.ear, self._played)
        self._socket: ClientConnection | None = None
        self._round_trips: list[float] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[None] | None = None

    def rehearse(self, script: Script) -> None:
        for turn in script.turns:
            samples_of(turn.speech, self._wire.rate)

    async def start(self, signalling: Signalling) -> Started:
        if self._options.webhook:
            return await self._ringing.ask(signalling)
        if self._stream:
            return Started(None, {"wsUrl": self._stream})
        return await signalling.start(self._wire.transport)

    async def connect(self, started: Started, signalling: Signalling) -> None:
        named, token = started.body.get("wsUrl"), started.body.get("token")
        said = named if isinstance(named, str) else ""
        target = stands_at(self._target, said)
        url = dialled(target, said, self._wire.path)
        patience = self._options.connect_timeout_s
        self._socket = await opened(target, url, token if isinstance(token, str) else "", patience)
        now = time.monotonic()
        self.moments.answered = self.moments.ice = self.moments.dtls = now
        self._reading = self._go(self._read(self._socket))
        self._speaking = self._go(self._speak(self._socket))
        self._go(self._ask(self._socket))

    def say(self, speech: Speech) -> Said:
        return self._mouth.say(speech)

    def press(self, digit: str) -> None:
        """A key of the telephone; where there are none, nothing."""
        self._post(self._wire.dtmf(digit))

    @property
    def ended(self) -> bool:
        return self._reading is not None and self._reading.done()

    def broken(self) -> Failure | None:
        code = self._socket.close_code if self._socket else None
        if not self.ended or code is None or code in HANGING_UP:
            return None
        reason = self._socket.close_reason if self._socket else ""
        what = f"with {code}" + (f" ({reason})" if reason else "")
        if code == 1006:
            what = "without a word (1006): it failed, or something in between cut the connection"
        hint = "`voicedeploy logs` has the bot's side: a bot without its carrier's credentials ends so, for one"
        if self.ear.first_audible is None and self._stream and self._target.way:
            hint = self._target.way.hint or hint
        return Failure("socket", f"the bot's end closed the socket {what}", hint)

    def lateness(self) -> list[float]:
        return self._mouth.lateness

    def ahead_ms(self) -> float | None:
        return self._player.ahead_s * 1000 if self.moments.dtls is not None else None

    def pair(self) -> CandidatePair | None:
        return None

    def round_trips(self) -> list[float]:
        return self._round_trips

    def on_same_machine(self) -> bool:
        if self._target.socket or self._socket is None:
            return bool(self._target.socket)
        here, there = self._socket.local_address, self._socket.remote_address
        return bool(there) and (ip_address(there[0]).is_loopback or there[0] == here[0])

    async def close(self) -> None:
        self._player.stop()
        if self._speaking is not None:
            self._speaking.cancel()
        if self._socket is not None and not self.ended:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    for message in self._wire.closing():
                        await self._socket.send(message)
                    await self._socket.close()
            except (ConnectionClosed, TimeoutError):
                self._socket.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------------ the socket

    async def _speak(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):  # `ended` says so
            parameters = self._target.way.parameters if self._target.way and self._stream else self._ringing.parameters
            for message in self._wire.opening(parameters):
                await socket.send(message)
            await self._mouth.speak(socket.send)

    async def _ask(self, socket: ClientConnection) -> None:
        """By pings, which whatever ends the WebSocket answers. One that does not is asked no more."""
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                async with asyncio.timeout(PONG_S):
                    self._round_trips.append(await (await socket.ping()))
                await asyncio.sleep(ASK_AGAIN_S)

    async def _send(self, socket: ClientConnection, message: Message) -> None:
        with suppress(ConnectionClosed):
            await socket.send(message)

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                for order in self._wire.orders(message):
                    self._obey(order)
        self._player.stop()  # a carrier does not play on when the stream has ended

    def _obey(self, order: Order) -> None:
        match order:
            case Play(samples, rate):
                self._player.take(samples, rate)
            case Mark(name):
                self._player.mark(name)
            case Clear():
                for answer in self._wire.cleared(self._player.clear()):
                    self._post(answer)
            case Note(text):
                self.transcript.take(text)

    def _played(self, name: str) -> None:
        self._post(self._wire.played(name))

    def _post(self, message: Message | None) -> None:
        if message is not None and self._socket is not None:
            self._go(self._send(self._socket, message))

    def _go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
