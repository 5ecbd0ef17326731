"""The STUN and TURN servers of one call, with credentials that last as long as the call may.

coturn's are made here, for each call, from the secret it shares with us ("A REST API For Access To TURN Services",
draft-uberti-behave-turn-rest-00). Cloudflare's are asked for before there is a call, so that none waits for them.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ValidationError

from voicedeploy.serve.config import FrontConfig, IceServer, secrets_of
from voicedeploy.serve.log import Log

Server = dict[str, Any]

# Clocks differ, and a call begins some time after its slot was taken.
MARGIN_S = 300
# Renewed when they have lasted half of this beyond the longest call: an outage so long touches no call.
SPARE_S = 7200
# Cloudflare grants two days at most.
LONGEST_S = 172_800
ANSWER_S = 3.0
AGAIN_S = 10.0
AGAIN_AT_MOST_S = 300.0
# Not one long sleep: a machine that was suspended has to notice that time has passed.
LOOK_S = 30.0


@dataclass(frozen=True)
class _Lease:
    servers: tuple[Server, ...]
    expires: float


class Relay:
    """`start` it in a running loop. `clock` is Unix time."""

    def __init__(self, config: FrontConfig, log: Log, *, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._log = log
        self._clock = clock
        self._lasts_s = config.session.max_duration_s + MARGIN_S
        self._secrets = secrets_of(config) if config.transport.secrets else {}
        files = (server.secret_file for server in config.transport.ice_servers if server.secret_file)
        self._files = {file: file.read_text("ascii").strip() for file in files}
        self._leases: dict[str, _Lease] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for server in self._config.transport.ice_servers:
            if server.cloudflare:
                self._tasks.append(asyncio.create_task(self._keep(server.cloudflare, self._value(server))))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def servers(self, session: str) -> tuple[list[Server], list[Server]]:
        """Those of a call that begins now: its client's, and its bot's. What cannot be had at once is left out."""
        asked = self._config.transport.ice_servers
        for_bot = self._ready([server for server in asked if not server.callers_only], session)
        if self._config.media.tcp_only:
            for_bot = tls_first(for_bot)
        return [*for_bot, *self._ready([server for server in asked if server.callers_only], session)], for_bot

    def _ready(self, servers: Sequence[IceServer], session: str) -> list[Server]:
        found: list[Server] = []
        for server in servers:
            if server.cloudflare:
                found += self._leased(server.cloudflare, session)
            elif server.secret or server.secret_file:
                username, credential = minted(self._value(server), session, self._clock() + self._lasts_s)
                found.append({"urls": server.urls, "username": username, "credential": credential})
            else:
                found.append(server.model_dump(include={"urls", "username", "credential"}, exclude_none=True))
        return found

    def _value(self, server: IceServer) -> str:
        return self._files[server.secret_file] if server.secret_file else self._secrets.get(server.secret or "", "")

    def _leased(self, key: str, session: str) -> tuple[Server, ...]:
        lease = self._leases.get(key)
        if lease and lease.expires > self._clock():
            return lease.servers
        self._log.warning(
            "relay-missing", session=session, relay=f"cloudflare {key}", text="the call goes on without it"
        )
        return ()

    async def _keep(self, key: str, token: str) -> None:
        """Holds credentials that are good for a whole call, for as long as the front runs."""
        again_s = AGAIN_S
        async with httpx.AsyncClient(base_url=self._config.transport.cloudflare_api, timeout=ANSWER_S) as http:
            while True:
                try:
                    async with asyncio.timeout(ANSWER_S):
                        lease = await self._ask(http, key, token)
                except (httpx.HTTPError, TimeoutError, ValidationError) as error:
                    left = self._leases.get(key)
                    self._log.warning(
                        "relay-unanswered",
                        relay=f"cloudflare {key}",
                        text=_explained(error),
                        credentials_last_s=max(0, round(left.expires - self._clock())) if left else 0,
                        again_s=again_s,
                    )
                    await asyncio.sleep(again_s)
                    again_s = min(again_s * 2, AGAIN_AT_MOST_S)
                    continue
                self._leases[key] = lease
                self._log.info("relay", relay=f"cloudflare {key}", lasts_s=round(lease.expires - self._clock()))
                again_s = AGAIN_S
                while self._clock() < lease.expires - self._lasts_s - SPARE_S / 2:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)

    async def _ask(self, http: httpx.AsyncClient, key: str, token: str) -> _Lease:
        ttl = min(round(self._lasts_s) + SPARE_S, LONGEST_S)
        asked_at = self._clock()
        answer = await http.post(
            f"/v1/turn/keys/{key}/credentials/generate-ice-servers",
            json={"ttl": ttl},
            headers={"Authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        return _Lease(_relays(answer.content), asked_at + ttl)


def minted(secret: str, session: str, expires: float) -> tuple[str, str]:
    """Name and password that coturn's `use-auth-secret` accepts until `expires`, in Unix time.

    The name goes over the network in the clear, and a session's id is the right to its call: so a digest of it.
    """
    username = f"{round(expires)}:{hashlib.sha256(session.encode()).hexdigest()[:16]}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def tls_first(servers: Sequence[Server]) -> list[Server]:
    """Relays with those first that need no UDP, and no STUN servers: the bot asks only the first relay there is."""
    relays = [{**server, "urls": sorted(urls, key=_needs_udp)} for server in servers if (urls := _turn(server["urls"]))]
    return sorted(relays, key=lambda relay: _needs_udp(relay["urls"][0]))


def _turn(urls: str | list[str]) -> list[str]:
    return [url for url in ([urls] if isinstance(urls, str) else urls) if url.startswith("turn")]


def _needs_udp(url: str) -> Literal[0, 1, 2]:
    """0: TLS, which passes nearly everywhere. 1: TCP. 2: UDP."""
    return 0 if url.startswith("turns:") else 1 if url.endswith("transport=tcp") else 2


class _IceServer(BaseModel):
    urls: list[str] | str
    username: str = ""
    credential: str = ""


class _Answer(BaseModel):
    iceServers: list[_IceServer]  # noqa: N815


def _relays(content: bytes) -> tuple[Server, ...]:
    """What Cloudflare names, without port 53, which browsers refuse, and without its STUN server.

    A relay tells a client its public address too; on the bot's side one more server can only be waited for.
    """
    found: list[Server] = []
    for server in _Answer.model_validate_json(content).iceServers:
        urls = [url for url in _turn(server.urls) if not re.search(r":53(\?|$)", url)]
        if urls:
            found.append({"urls": urls, "username": server.username, "credential": server.credential})
    return tuple(found)


def _explained(error: Exception) -> str:
    """Never the answer's content: it may hold a password."""
    match error:
        case httpx.HTTPStatusError(response=response) if response.status_code in (401, 403, 404):
            return f"it refuses the token or does not know the key ({response.status_code}): voicedeploy check"
        case httpx.HTTPStatusError(response=response):
            return f"it answered {response.status_code}"
        case ValidationError():
            return "its answer names no servers"
        case TimeoutError() | httpx.TimeoutException():
            return f"no answer within {ANSWER_S:.0f} s"
    return f"{type(error).__name__}: {error}"
