"""Pipecat Cloud, and one agent of it."""

import os
import time
from collections.abc import Mapping
from typing import Self

import httpx

from voicedeploy.api import Clock, Wire, connection
from voicedeploy_providers.pipecat_cloud.api.agents import Agents
from voicedeploy_providers.pipecat_cloud.api.builds import Builds
from voicedeploy_providers.pipecat_cloud.api.keys import PrivateKey, PublicKey
from voicedeploy_providers.pipecat_cloud.api.logs import Logs
from voicedeploy_providers.pipecat_cloud.api.places import Places
from voicedeploy_providers.pipecat_cloud.api.platform import Platform
from voicedeploy_providers.pipecat_cloud.api.secrets import Secrets
from voicedeploy_providers.pipecat_cloud.api.sessions import Sessions
from voicedeploy_providers.pipecat_cloud.api.wire import FAULTS


class Agent:
    """What belongs to one agent. Making this asks nobody."""

    def __init__(self, name: str, private: Wire, public: Wire | None) -> None:
        self.name = name
        self.sessions = Sessions(private, public, name)
        self.logs = Logs(private, name)


class PipecatCloud:
    """The platform with an organization's keys. Close it, or use it with `with`."""

    def __init__(
        self,
        private: PrivateKey,
        public: PublicKey | None = None,
        places: Places | None = None,
        *,
        clock: Clock = time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.places = places or Places()
        self.public_key = public
        self.clock = clock
        self._clients = [connection(private.header, transport), connection("", transport)]
        self._private = Wire(self._clients[0], self.places.private, private.bare, clock, FAULTS)
        self._public: Wire | None = None
        if public is not None:
            self._clients.append(connection(public.header, transport))
            self._public = Wire(self._clients[-1], f"{self.places.private}/public", public.bare, clock, FAULTS)
        self.agents = Agents(self._private)
        self.secrets = Secrets(self._private)
        self.builds = Builds(self._private, self._clients[1])
        self.platform = Platform(self._private)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """The public key may be missing: then no session can be started."""
        public = any(env.get(name, "").strip() for name in PublicKey.variables)
        return cls(PrivateKey.from_env(env), PublicKey.from_env(env) if public else None, Places.from_env(env))

    def agent(self, name: str) -> Agent:
        return Agent(name, self._private, self._public)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
