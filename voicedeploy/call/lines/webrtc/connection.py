"""The media half of a call: a peer connection like a browser's, and the moments at which its layers came up."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network

from aioice import Candidate, Connection
from aioice.stun import TransactionError
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from voicedeploy.call.lines.line import Moments
from voicedeploy.call.lines.webrtc.listening import Listening
from voicedeploy.call.lines.webrtc.microphone import Microphone
from voicedeploy.call.lines.webrtc.relay import Relay, failure, relays
from voicedeploy.call.run import CandidatePair, Failure
from voicedeploy.call.signalling import Answer, CallFailed

GATHER_S = 2
"""aioice waits 5 s for a STUN server that does not answer; a browser goes on without it."""
OPUS = "audio/opus"
NOT_ROUTED = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"))
)


class Media:
    """Audio both ways, video receive-only and a data channel, all on one transport, as Pipecat's clients offer it.

    max-bundle puts the same candidates into every media section: an aiortc bot checks only those of the last.
    """

    def __init__(
        self,
        moments: Moments,
        listening: Listening,
        microphone: Microphone,
        ice_servers: Sequence[RTCIceServer],
        *,
        relay_only: bool,
        loopback: bool,
    ) -> None:
        self._moments = moments
        self._listening = listening
        self._relays = relays(ice_servers)
        self._relay_only = relay_only
        self._changed = asyncio.Event()
        self._pc = RTCPeerConnection(
            RTCConfiguration(
                iceServers=list(ice_servers),
                iceTransportPolicy=RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL,
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )
        self._pc.addTrack(microphone)
        audio = self._pc.getTransceivers()[0]
        audio.setCodecPreferences(
            [codec for codec in RTCRtpReceiver.getCapabilities("audio").codecs if codec.mimeType == OPUS]  # type: ignore[union-attr]
        )
        self._pc.addTransceiver("video", direction="recvonly")
        self.channel: RTCDataChannel = self._pc.createDataChannel("chat", ordered=True)
        self._sender: RTCRtpSender = audio.sender
        self._dtls = self._sender.transport
        self._ice = self._dtls.transport
        self._agent: Connection = self._ice.iceGatherer._connection
        self._ice.on("statechange", self._ice_changed)
        self._dtls.on("statechange", self._dtls_changed)
        _gather(self._agent, self._relays[1:], loopback=loopback and not relay_only)
        self._receiver = audio.receiver

    async def offer(self) -> str:
        """The SDP with all of the caller's candidates. Raises CallFailed where there are none."""
        if self._relay_only and not self._relays:
            raise CallFailed(
                Failure(
                    "no-candidates",
                    "a call by a relay only needs a TURN server, and the answer of /start names none",
                    "set `transport.turn` in voicedeploy.toml, or leave --relay-only out; if it is set, "
                    "`voicedeploy logs` says what is with the relay",
                )
            )
        await self._pc.setLocalDescription(await self._pc.createOffer())
        self._moments.gathered = time.monotonic()
        if not self._agent.local_candidates:
            raise CallFailed(await self._unoffered())
        self._listening.attach(self._agent, self._receiver)
        return self._pc.localDescription.sdp

    async def accept(self, answer: Answer) -> None:
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp, type=answer.type))
        except Exception as why:
            raise CallFailed(
                Failure(
                    "signalling",
                    f"the bot's answer is not an SDP answer to this offer: {why}",
                    "is the bot's transport `webrtc`? `voicedeploy logs` has the bot's side",
                )
            ) from why
        if not self._agent.remote_candidates:
            raise CallFailed(
                Failure(
                    "no-candidates",
                    "the bot answered, but named no address to send audio to",
                    "its machine has no usable network address, or all UDP ports of its range are taken: "
                    "set `public_ip` and `udp_ports`, or a TURN server",
                )
            )

    async def connected(self, timeout_s: float) -> None:
        """Returns when DTLS stands. Raises CallFailed with the layer that did not come up within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self._dtls.state != "connected":
            left = deadline - time.monotonic()
            if left <= 0 or "failed" in (self._ice.state, self._dtls.state) or self.ended:
                raise CallFailed(await self._not_connected(timeout_s))
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue

    @property
    def ended(self) -> bool:
        """The bot hung up, or the connection was lost."""
        return self._dtls.state in ("closed", "failed") or self._ice.state in ("closed", "failed")

    def pair(self) -> CandidatePair | None:
        nominated = self._agent._nominated.get(1)
        if nominated is None:
            return None
        local, remote = nominated.local_candidate, nominated.remote_candidate
        relay = ("tls" if self._agent.turn_ssl else self._agent.turn_transport) if local.type == "relay" else None
        return CandidatePair(_named(local), _named(remote), local.transport, relay)

    async def round_trip(self) -> float | None:
        """Seconds until the bot's end of the nominated pair answered one more check; None if it did not."""
        nominated = self._agent._nominated.get(1)
        if nominated is None or self._agent.remote_password is None:
            return None
        request = self._agent.build_request(nominated, nominate=False)
        key = self._agent.remote_password.encode()
        sent = time.monotonic()
        try:
            await nominated.protocol.request(request, nominated.remote_addr, integrity_key=key, retransmissions=1)
        except TransactionError:
            return None
        return time.monotonic() - sent

    def on_same_machine(self) -> bool:
        """The bot's selected address is one of this machine's own, or loopback."""
        nominated = self._agent._nominated.get(1)
        if nominated is None:
            return False
        remote = nominated.remote_candidate.host
        return ip_address(remote).is_loopback or remote in {c.host for c in self._agent.local_candidates}

    async def close(self) -> None:
        await self._pc.close()

    def _ice_changed(self) -> None:
        if self._ice.state == "completed" and self._moments.ice is None:
            self._moments.ice = time.monotonic()
        self._changed.set()

    def _dtls_changed(self) -> None:
        if self._dtls.state == "connected" and self._moments.dtls is None:
            self._moments.dtls = time.monotonic()
        self._changed.set()

    async def _unoffered(self) -> Failure:
        """Why there is no address of the caller's."""
        if self._relay_only:
            late = Failure(
                "no-candidates",
                f"the TURN server gave no address within {GATHER_S} s, and one when it was asked again",
                "call again; if it stays so, the server or the way to it is slow",
            )
            return await failure(self._relays) or late
        return Failure(
            "no-candidates",
            "this machine has no network address: there is nothing to offer to the bot",
            "connect the machine to a network; a bot on this machine is called as http://localhost:PORT/",
        )

    async def _not_connected(self, timeout_s: float) -> Failure:
        if self._moments.ice is not None:
            pair = self.pair()
            path = f"{pair.local} → {pair.remote}" if pair else "a candidate pair"
            what = "failed" if self._dtls.state == "failed" else f"did not come up within {timeout_s:.0f} s"
            return Failure(
                "dtls",
                f"a path was found ({path}), but the encrypted channel on it {what}",
                "large packets may be dropped on the way (a tunnel with a small MTU), something in between may alter "
                "the answer's fingerprint, or the bot's process stalled: `voicedeploy logs`",
            )
        found = no_pair(self._agent.local_candidates, self._agent.remote_candidates, timeout_s)
        if any(c.type == "relay" for c in self._agent.local_candidates) or not self._relays:
            return found
        no_relay = await failure(self._relays)
        if no_relay is None:
            return found
        return Failure("no-pair", f"{found.message}; {no_relay.message}", f"{no_relay.hint}\n{found.hint}")


def no_pair(ours: Iterable[Candidate], theirs: Iterable[Candidate], timeout_s: float) -> Failure:
    """Why no packet came through, as far as the two lists of addresses tell."""
    ours, theirs = list(ours), list(theirs)
    listed = ", ".join(dict.fromkeys(map(_named, theirs)))
    own = ", ".join(dict.fromkeys(map(_named, ours)))
    routed = [c for c in theirs if not _not_routed(c.host)]
    near = any(_not_routed(c.host) for c in ours)
    if theirs and not routed:
        hint = (
            "these are addresses inside the bot's own network. A container: give it the host's network (Linux), or "
            "publish its UDP ports and set `public_ip`. Behind a router: forward the UDP range and set `public_ip`. "
            "Or set `transport.turn`, which needs no open port"
        )
    else:
        hint = (
            "open the UDP port range of the bot in its firewall (host and cloud), or set `transport.turn`; "
            f"if calls fail from {'this network' if near else 'here'} only, its own firewall drops UDP"
        )
    return Failure(
        "no-pair",
        f"the bot answered the offer, but no UDP packet came through in {timeout_s:.0f} s "
        f"(bot: {listed}; caller: {own})",
        hint,
    )


def _not_routed(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False  # an mDNS name
    if address.version == 4:
        return any(address in net for net in NOT_ROUTED)
    return address.is_private or address.is_link_local or address.is_loopback


def _named(candidate: Candidate) -> str:
    host = f"[{candidate.host}]" if ":" in candidate.host else candidate.host
    return f"{candidate.type} {host}:{candidate.port}"


def _gather(agent: Connection, others: Sequence[Relay], *, loopback: bool) -> None:
    """Bounds the wait for STUN, and offers 127.0.0.1 to a bot on this machine, which aioice leaves out.

    On a machine with nothing but `lo` that is the only address there is. aioice asks one relay only; where that one
    gives no address, the `others` are asked, as a browser does.
    """
    gather = agent.get_component_candidates

    async def bounded(component: int, addresses: list[str], timeout: int = GATHER_S) -> list[Candidate]:  # noqa: ASYNC109
        near: list[Candidate] = []
        if loopback:  # without the servers: no answer of theirs finds its way to 127.0.0.1
            servers = agent.stun_server, agent.turn_server
            agent.stun_server = agent.turn_server = None
            near = await gather(component, ["127.0.0.1"])
            agent.stun_server, agent.turn_server = servers
        found = [*near, *await gather(component, addresses, min(timeout, GATHER_S))]
        for other in others:
            if any(c.type == "relay" for c in found):
                break
            other.lend(agent)
            found += await gather(component, [], GATHER_S)
        return found

    setattr(agent, "get_component_candidates", bounded)  # noqa: B010 - on this one object
