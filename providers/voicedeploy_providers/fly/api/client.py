"""Fly, and one app of it."""

import time
from typing import Self

import httpx

from voicedeploy.api import Clock, Wire, connection
from voicedeploy_providers.fly.api.apps import Apps
from voicedeploy_providers.fly.api.certificates import Certificates
from voicedeploy_providers.fly.api.ips import Ips
from voicedeploy_providers.fly.api.logs import Logs
from voicedeploy_providers.fly.api.machines import Machines
from voicedeploy_providers.fly.api.places import Places
from voicedeploy_providers.fly.api.platform import Platform
from voicedeploy_providers.fly.api.secrets import Secrets
from voicedeploy_providers.fly.api.token import Token
from voicedeploy_providers.fly.api.wire import FAULTS


class App:
    """What belongs to one app. Making this asks nobody."""

    def __init__(self, name: str, flaps: Wire, api: Wire) -> None:
        self.name = name
        self.machines = Machines(flaps, name)
        self.secrets = Secrets(flaps, name)
        self.ips = Ips(flaps, name)
        self.certificates = Certificates(flaps, name)
        self.logs = Logs(api, name)


class Fly:
    """The platform with one token. Close it, or use it with `with`."""

    def __init__(
        self,
        token: Token,
        places: Places | None = None,
        *,
        clock: Clock = time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.token = token
        self.places = places or Places()
        self._client = connection(token.header, transport)
        self._flaps = Wire(self._client, f"{self.places.flaps}/v1", token.bare, clock, FAULTS)
        self._api = Wire(self._client, f"{self.places.api}/api/v1", token.bare, clock, FAULTS)
        self.apps = Apps(self._flaps)
        self.platform = Platform(self._flaps)

    @classmethod
    def from_env(cls) -> Self:
        return cls(Token.from_env(), Places.from_env())

    def app(self, name: str) -> App:
        return App(name, self._flaps, self._api)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
