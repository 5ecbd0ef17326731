"""Secret sets: values go in, names come out. A new value reaches agents by a forced deployment only."""

import base64
from collections.abc import Mapping
from urllib.parse import quote

from voicedeploy.api import PAUSES, Wire
from voicedeploy_providers.pipecat_cloud.api.errors import Changed, NotFound, Refused, WaitedTooLong
from voicedeploy_providers.pipecat_cloud.api.records import Record, SecretSet

_POLL_S = 1.0


class _Sets(Record):
    sets: tuple[SecretSet, ...] = ()


class Secrets:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> tuple[SecretSet, ...]:
        what = "listing the secret sets"
        return self._wire.read(_Sets, self._wire.call("GET", "/secrets", what), what).sets

    def get(self, name: str) -> SecretSet | None:
        """None too for a set of credentials of a registry, which the platform does not show."""
        what = f"looking at the secret set {name}"
        try:
            found = self._wire.read(SecretSet, self._wire.call("GET", self._of(name), what), what)
        except NotFound:
            return None
        return found if found.name else found.model_copy(update={"name": name})

    def put(self, name: str, values: Mapping[str, str], *, region: str) -> None:
        """Adds or replaces these values, all in one request; others stay. Stored some seconds later: `wait`."""
        rows = [{"secretKey": key, "secretValue": value} for key, value in values.items()]
        self._put(name, {"secrets": rows, "region": region})

    def put_pull(self, name: str, host: str, user: str, token: str, *, region: str) -> None:
        """Credentials of a registry of images."""
        value = base64.b64encode(f"{user}:{token}".encode()).decode()
        self._put(name, {"isImagePullSecret": True, "host": host, "secretValue": value, "region": region})

    def wait(self, name: str, *, timeout_s: float = 120.0) -> SecretSet:
        """Until the set can be used by an agent. `Refused` where the platform could not store it."""
        what = f"waiting for the secret set {name}"
        until = self._wire.clock.monotonic() + timeout_s
        while True:
            found = self.get(name)
            if found is not None and found.status == "ready":
                return found
            if found is not None and found.status == "failed":
                raise Refused(f"{what}: {found.error_message or 'the platform could not store it'}", hint=_SET_AGAIN)
            if self._wire.clock.monotonic() >= until:
                raise WaitedTooLong(f"{what}: still pending after {timeout_s:g} s", hint=_SET_AGAIN)
            self._wire.clock.sleep(_POLL_S)

    def unset(self, name: str, key: str) -> None:
        """One that is not there is fine."""
        try:
            self._wire.call("DELETE", f"{self._of(name)}/{quote(key, safe='')}", f"unsetting {key} in {name}")
        except NotFound:
            return

    def delete(self, name: str) -> None:
        """One that is not there is fine."""
        try:
            self._wire.call("DELETE", self._of(name), f"deleting the secret set {name}")
        except NotFound:
            return

    def _put(self, name: str, body: object) -> None:
        what = f"setting the secret set {name}"
        for pause in (*PAUSES, None):
            try:
                self._wire.call("PUT", self._of(name), what, body=body)
                return
            except Changed:
                # The same values again are the same set: a change at the same time only has to be over.
                if pause is None:
                    raise
                self._wire.clock.sleep(pause)

    def _of(self, name: str) -> str:
        return f"/secrets/{quote(name, safe='')}"


_SET_AGAIN = "`voicedeploy secrets set` again"
