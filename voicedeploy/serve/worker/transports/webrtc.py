"""Pipecat's SmallWebRTC: one peer connection for the call, across restarts of it."""

import asyncio
import importlib
import inspect
import time
from typing import TYPE_CHECKING, Any

from .. import ice, media
from ..config import Session
from ..log import log
from ..wire import Message
from . import Host, Rejected, Transport, Unusable

if TYPE_CHECKING:
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

# A live client sends audio, a ping every second, RTCP and STUN at least every 6 s (RFC 7675). aioice itself
# gives a silent one up only after six lost checks, 30 s.
SILENCE_S = 11.0

# From the answer until media may flow; TURN over TCP on a bad line takes a few seconds.
CONNECT_S = 14.0


def prepare() -> None:
    try:
        ice.require()
    except ice.CannotPin as error:
        raise Unusable(str(error)) from None


def lighten() -> None:
    media.lighten()


async def rehearse() -> None:
    """Answers an offer of our own, without a socket or a thread.

    Keys, TLS, SDP and codecs are slow the first time only: 35 ms of a call's first word.
    """
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.codecs.opus import OpusDecoder, OpusEncoder
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

    # The bot's own first import of it otherwise, in the call.
    importlib.import_module("pipecat.transports.smallwebrtc.transport")

    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection = SmallWebRTCConnection()
    try:
        caller.addTransceiver("audio")
        caller.createDataChannel("rehearsal")
        offer = await caller.createOffer()
        await connection.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, offer.type))
        await connection.pc.createAnswer()
        OpusEncoder(), OpusDecoder()
    finally:
        await caller.close()
        await connection.pc.close()


def open_transport(session: Session, host: Host) -> Transport:
    return WebRTC(session, host)


class WebRTC:
    def __init__(self, session: Session, host: Host) -> None:
        self._session = session
        self._host = host
        self._route = ice.Route(session.udp_ports, session.public_ip, session.nets, session.relay_only, session.bind)
        ice.install(self._route)
        self._connection: SmallWebRTCConnection | None = None
        self._ids: set[str] = set()
        self._watched: Any = None
        self._answered_at = 0.0
        self._connected = False
        self._ended = False
        self._closed = False
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Message) -> Any:
        async with self._one_at_a_time:
            match question["op"]:
                case "offer":
                    return await self._offer(question)
                case "candidates":
                    return await self._candidates(question)
            raise Rejected("failed", f"cannot {question['op']}")

    async def close(self) -> None:
        self._ended = True
        if self._connection and not self._closed:
            self._closed = True
            await self._connection.disconnect()  # type: ignore[no-untyped-call]

    async def _offer(self, offer: Message) -> dict[str, Any]:
        pc_id = offer.get("pc_id")
        if self._connection is None:
            if pc_id:
                raise Rejected("unknown-pc", f"this session has no peer connection {pc_id}")
            connection = await self._answer_first(offer)
            args = self._runner_args(connection, offer.get("request_data"))
        else:
            if pc_id not in self._ids or self._ended:
                raise Rejected("unknown-pc", "this session has another peer connection; a new call needs a new session")
            connection, args = self._connection, None
            spoken = [sender.track for sender in connection.pc.getSenders()]
            try:
                await connection.renegotiate(offer["sdp"], offer["type"], bool(offer.get("restart_pc")))
            except Exception as error:
                raise _rejected(error) from error
            if connection.pc is not self._watched:
                _release(spoken)
        answer: dict[str, Any] = connection.get_answer()  # type: ignore[no-untyped-call]
        self._ids.add(answer["pc_id"])
        self._watch(connection)
        if args is not None:
            self._host.start(args)
        return answer

    async def _answer_first(self, offer: Message) -> "SmallWebRTCConnection":
        from pipecat.transports.smallwebrtc.connection import IceServer, SmallWebRTCConnection

        servers = [
            IceServer(urls=s["urls"], username=s.get("username"), credential=s.get("credential"))
            for s in self._session.ice_servers
        ]
        self._route.other_relays = _relays(servers)[1:]
        connection = SmallWebRTCConnection(servers or None)
        try:
            await connection.initialize(offer["sdp"], offer["type"])
        except Exception as error:
            await connection.pc.close()
            raise _rejected(error) from error
        if not connection.pc.getTransceivers():
            await connection.pc.close()
            raise Rejected("bad-offer", "the offer has no audio: add an audio transceiver before creating it")
        self._connection = connection
        return connection

    def _runner_args(self, connection: "SmallWebRTCConnection", request_data: Any) -> Any:
        from pipecat.runner.types import SmallWebRTCRunnerArguments

        args = {
            "webrtc_connection": connection,
            "body": self._session.body if request_data is None else request_data,
            "session_id": self._session.session_id,
        }
        # Older versions know fewer of them.
        known = inspect.signature(SmallWebRTCRunnerArguments).parameters
        return SmallWebRTCRunnerArguments(**{k: v for k, v in args.items() if k in known})

    async def _candidates(self, question: Message) -> None:
        from aiortc.sdp import candidate_from_sdp

        if self._connection is None or question.get("pc_id") not in self._ids:
            raise Rejected("unknown-pc", f"this session has no peer connection {question.get('pc_id')}")
        for said in question["candidates"]:
            # An empty one ends the list (RFC 8840), as None does for aiortc.
            candidate = None
            if text := said["candidate"].removeprefix("candidate:"):
                try:
                    candidate = candidate_from_sdp(text)
                except (AssertionError, ValueError) as error:
                    raise Rejected("bad-offer", f"not an ICE candidate: {text!r}") from error
                candidate.sdpMid = said.get("sdp_mid")
                candidate.sdpMLineIndex = said.get("sdp_mline_index")
            await self._connection.add_ice_candidate(candidate)  # type: ignore[no-untyped-call]

    def _watch(self, connection: "SmallWebRTCConnection") -> None:
        """Follows the peer connection; a restart replaces it by another one."""
        pc = connection.pc
        if pc is self._watched:
            return
        self._watched = pc
        self._connected = False
        self._answered_at = self._route.heard_at = time.monotonic()

        async def changed() -> None:
            if pc is not self._watched:
                return
            match pc.connectionState:
                case "connecting":
                    self._host.state("connecting")
                case "connected":
                    self._connected = True
                    self._host.state("connected")
                case "closed" | "failed":
                    self._gone()

        pc.on("connectionstatechange", changed)
        if not self._tasks:
            task = asyncio.create_task(self._listen())
            self._tasks.add(task)

    async def _listen(self) -> None:
        """Notices a client that went without a word, or never came."""
        while not self._ended:
            await asyncio.sleep(1)
            now = time.monotonic()
            if self._connected and now - self._route.heard_at > SILENCE_S:
                log(f"no packet from the client for {SILENCE_S:.0f} s")
                self._gone()
            elif not self._connected and now - self._answered_at > CONNECT_S:
                log(f"the client did not connect within {CONNECT_S:.0f} s")
                self._gone()

    def _gone(self) -> None:
        if not self._ended:
            self._ended = True
            self._host.gone()


def _relays(servers: list[Any]) -> list[dict[str, Any]]:
    """One for each host and way to it, as aiortc tells them to aioice."""
    from aiortc import RTCIceServer
    from aiortc.rtcicetransport import connection_kwargs

    found: dict[Any, dict[str, Any]] = {}
    for server in servers:
        for url in [server.urls] if isinstance(server.urls, str) else server.urls:
            said = connection_kwargs([RTCIceServer(urls=url, username=server.username, credential=server.credential)])
            if "turn_server" in said:
                found.setdefault((said["turn_server"][0], said["turn_ssl"], said["turn_transport"]), said)
    return list(found.values())


def _release(tracks: list[Any]) -> None:
    """Lets a bot go on that was speaking when its peer connection was replaced.

    Pipecat's output waits until the track has been asked for what it was given; the old one never is again,
    and the bot would stay silent in the new connection.
    """
    for track in tracks:
        for _, sent in getattr(track, "_chunk_queue", ()):
            if sent and not sent.done():
                sent.set_result(True)


def _rejected(error: Exception) -> Rejected:
    if isinstance(error, ice.NoCandidates):
        return Rejected("no-candidates", str(error))
    return Rejected("bad-offer", f"{type(error).__name__}: {error}")
