"""Secrets of an app: values go in, names and digests come out. Machines that run do not notice."""

from collections.abc import Mapping
from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.errors import NotFound
from voicedeploy_providers.fly.api.records import Record, Secret


class _Secrets(Record):
    secrets: tuple[Secret, ...] = ()


class _Version(Record):
    version: int = 0


class Secrets:
    def __init__(self, wire: Wire, app: str) -> None:
        self._wire = wire
        self._app = app
        self._path = f"/apps/{quote(app, safe='')}/secrets"

    def list(self) -> tuple[Secret, ...]:
        what = f"listing the secrets of {self._app}"
        return self._wire.read(_Secrets, self._wire.call("GET", self._path, what), what).secrets

    def update(self, values: Mapping[str, str | None]) -> int:
        """Sets each value; None unsets. The new version, 0 if nothing was asked for: `min_secrets_version` of machines.

        The values are set in one request, and then each other is unset by one of its own.
        """
        what = f"setting secrets of {self._app}"
        setting = {name: value for name, value in values.items() if value is not None}
        version = 0
        if setting:
            answer = self._wire.call("POST", self._path, what, body={"values": setting}, again=True)
            version = self._wire.read(_Version, answer, what).version
        for name in values.keys() - setting.keys():
            what = f"unsetting {name} of {self._app}"
            try:
                answer = self._wire.call("DELETE", f"{self._path}/{quote(name, safe='')}", what)
            except NotFound:
                continue
            version = max(version, self._wire.read(_Version, answer, what).version)
        return version
