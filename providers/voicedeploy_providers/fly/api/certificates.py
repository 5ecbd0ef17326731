"""Certificates for names of one's own."""

from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.errors import NotFound
from voicedeploy_providers.fly.api.records import Certificate


class Certificates:
    def __init__(self, wire: Wire, app: str) -> None:
        self._wire = wire
        self._path = f"/apps/{quote(app, safe='')}/certificates"

    def get(self, hostname: str) -> Certificate | None:
        what = f"looking at the certificate of {hostname}"
        try:
            return self._wire.read(
                Certificate, self._wire.call("GET", f"{self._path}/{quote(hostname, safe='')}", what), what
            )
        except NotFound:
            return None

    def request(self, hostname: str) -> Certificate:
        """From the public authority; the name must point to the app before it is issued."""
        what = f"asking for a certificate of {hostname}"
        body = {"hostname": hostname}
        return self._wire.read(
            Certificate, self._wire.call("POST", f"{self._path}/acme", what, body=body, again=True), what
        )

    def remove(self, hostname: str) -> None:
        """One that is not there is fine."""
        try:
            what = f"removing the certificate of {hostname}"
            self._wire.call("DELETE", f"{self._path}/{quote(hostname, safe='')}", what)
        except NotFound:
            return
