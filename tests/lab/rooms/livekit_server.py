"""A stand-in for a LiveKit server, run by a Python that has `livekit-api`, `aiortc` and `aiohttp`: arguments are
address, port, key and secret.

Its room service and its signalling take and give LiveKit's own messages (package livekit-protocol), its tokens are
verified by LiveKit's own library, and what a participant publishes arrives by real WebRTC and is decoded. What it does
not do is forward sound: callers are names that come and go as standard input says (`come NAME`, `leave NAME`).
On standard output it says what happens, a word or two a line.
"""

import asyncio
import json
import sys
import time
from typing import Any

import aioice.ice
import numpy as np
from aiohttp import WSMsgType, web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError  # type: ignore[import-untyped]
from livekit.api import TokenVerifier  # type: ignore[import-not-found]
from livekit.protocol import models, room, rtc  # type: ignore[import-not-found]

ADDRESS, PORT, KEY, SECRET = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
LOUD = 1000
ACTIVE, GONE = models.ParticipantInfo.State.ACTIVE, models.ParticipantInfo.State.DISCONNECTED

vars(aioice.ice)["get_host_addresses"] = lambda use_ipv4, use_ipv6: [ADDRESS]


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def grants(token: str) -> Any:
    """Of a token that LiveKit's library accepts."""
    try:
        claims = TokenVerifier(KEY, SECRET).verify(token)
    except Exception as error:
        raise web.HTTPUnauthorized(text=json.dumps({"code": "unauthenticated", "msg": str(error)})) from None
    return claims


def _bearer(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


class Server:
    def __init__(self) -> None:
        self.rooms: dict[str, models.Room] = {}
        self.bots: dict[str, Bot] = {}

    async def create(self, request: web.Request) -> web.Response:
        wanted = await self._asked(request, room.CreateRoomRequest())
        made = models.Room(
            sid=f"RM_{len(self.rooms) + 1}",
            name=wanted.name,
            empty_timeout=wanted.empty_timeout,
            departure_timeout=wanted.departure_timeout,
            max_participants=wanted.max_participants,
        )
        self.rooms[wanted.name] = made
        say("room", wanted.name)
        return web.json_response(MessageToDict(made, preserving_proto_field_name=True))

    async def delete(self, request: web.Request) -> web.Response:
        wanted = await self._asked(request, room.DeleteRoomRequest())
        if not self.rooms.pop(wanted.room, None):
            raise web.HTTPNotFound(text=json.dumps({"code": "not_found", "msg": "requested room does not exist"}))
        if bot := self.bots.get(wanted.room):
            await bot.throw_out()
        say("deleted", wanted.room)
        return web.json_response({})

    async def _asked(self, request: web.Request, message: Any) -> Any:
        video = grants(_bearer(request)).video
        if video is None or not video.room_create:
            raise web.HTTPForbidden(text=json.dumps({"code": "permission_denied", "msg": "permissions denied"}))
        try:
            return ParseDict(await request.json(), message)
        except ParseError as error:
            raise web.HTTPBadRequest(text=json.dumps({"code": "malformed", "msg": str(error)})) from None

    async def signal(self, request: web.Request) -> web.WebSocketResponse:
        claims = grants(request.query.get("access_token") or _bearer(request))
        video = claims.video
        if video is None or not video.room_join:
            raise web.HTTPForbidden(text="the token is not for a room")
        if video.room not in self.rooms:
            raise web.HTTPNotFound(text="requested room does not exist")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        bot = self.bots[video.room] = Bot(socket, self.rooms[video.room], claims.identity)
        await bot.serve()
        return socket

    async def obey(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order, name = line.decode().split()
            for bot in self.bots.values():
                await bot.tell(name, ACTIVE if order == "come" else GONE)


class Bot:
    """The one participant that is really there."""

    def __init__(self, socket: web.WebSocketResponse, where: models.Room, identity: str) -> None:
        self._socket = socket
        self._room = where
        self._identity = identity
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        @self._pc.on("track")
        def track(sound: Any) -> None:
            self._tasks.add(asyncio.ensure_future(self._listen(sound)))

        @self._pc.on("connectionstatechange")
        def changed() -> None:
            say("media", self._pc.connectionState)

        me = models.ParticipantInfo(
            sid="PA_bot",
            identity=self._identity,
            state=ACTIVE,
            permission=models.ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True),
        )
        join = rtc.JoinResponse(
            room=self._room,
            participant=me,
            subscriber_primary=False,
            ping_timeout=15,
            ping_interval=5,
            server_info=models.ServerInfo(version="1.9.0", protocol=16),
            enabled_publish_codecs=[models.Codec(mime="audio/opus")],
        )
        await self._send(join=join)
        say("joins", self._identity)
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                break
            if not await self._answer(rtc.SignalRequest.FromString(message.data)):
                break
        await self._pc.close()
        say("left", self._identity)

    async def tell(self, name: str, state: Any) -> None:
        who = models.ParticipantInfo(sid=f"PA_{name}", identity=name, name=name, state=state)
        await self._send(update=rtc.ParticipantUpdate(participants=[who]))

    async def throw_out(self) -> None:
        if not self._socket.closed:
            leave = rtc.LeaveRequest(
                reason=models.DisconnectReason.ROOM_DELETED, action=rtc.LeaveRequest.Action.DISCONNECT
            )
            await self._send(leave=leave)

    async def _answer(self, request: rtc.SignalRequest) -> bool:
        match request.WhichOneof("message"):
            case "offer":
                await self._pc.setRemoteDescription(RTCSessionDescription(request.offer.sdp, request.offer.type))
                await self._pc.setLocalDescription(await self._pc.createAnswer())
                sdp = self._pc.localDescription.sdp
                await self._send(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=request.offer.id))
            case "trickle" if request.trickle.target == rtc.SignalTarget.PUBLISHER:
                said = json.loads(request.trickle.candidateInit)
                if said.get("candidate"):
                    candidate = candidate_from_sdp(said["candidate"].removeprefix("candidate:"))
                    candidate.sdpMid, candidate.sdpMLineIndex = said.get("sdpMid"), said.get("sdpMLineIndex")
                    if self._pc.remoteDescription:
                        await self._pc.addIceCandidate(candidate)
            case "add_track":
                new = request.add_track
                info = models.TrackInfo(sid="TR_bot", type=new.type, name=new.name, source=new.source)
                await self._send(track_published=rtc.TrackPublishedResponse(cid=new.cid, track=info))
            case "ping_req":
                now = int(time.time() * 1000)
                await self._send(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=now))
            case "leave":
                return False
        return True

    async def _send(self, **what: Any) -> None:
        await self._socket.send_bytes(rtc.SignalResponse(**what).SerializeToString())

    async def _listen(self, sound: Any) -> None:
        loud = False
        try:
            while True:
                frame = await sound.recv()
                if not loud and int(np.abs(frame.to_ndarray().astype(int)).max()) > LOUD:
                    loud = True
                    say("heard", self._identity)
        except MediaStreamError:
            return


async def main() -> None:
    server = Server()
    app = web.Application()
    app.router.add_post("/twirp/livekit.RoomService/CreateRoom", server.create)
    app.router.add_post("/twirp/livekit.RoomService/DeleteRoom", server.delete)
    app.router.add_get("/rtc", server.signal)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, PORT).start()
    say("ready")
    await server.obey()
    await runner.cleanup()


asyncio.run(main())
