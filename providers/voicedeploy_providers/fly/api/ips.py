"""Addresses of an app. A dedicated `v4` costs money from the moment it is assigned."""

from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.errors import NotFound
from voicedeploy_providers.fly.api.records import Ip, IpKind, Record


class _Ips(Record):
    ips: tuple[Ip, ...] = ()


class Ips:
    def __init__(self, wire: Wire, app: str) -> None:
        self._wire = wire
        self._app = app
        self._path = f"/apps/{quote(app, safe='')}/ip_assignments"

    def list(self) -> tuple[Ip, ...]:
        what = f"listing the addresses of {self._app}"
        return self._wire.read(_Ips, self._wire.call("GET", self._path, what), what).ips

    def assign(self, kind: IpKind, *, region: str = "") -> Ip:
        """The address of this kind that the app has, or else a new one: never a second."""
        what = f"assigning an address ({kind}) to {self._app}"
        body = {"type": kind, **({"region": region} if region else {})}

        def find() -> Ip | None:
            return next((ip for ip in self.list() if ip.kind == kind), None)

        def make() -> Ip:
            return self._wire.read(Ip, self._wire.call("POST", self._path, what, body=body), what)

        return find() or self._wire.once(make, find, what)

    def release(self, ip: str) -> None:
        """One that is not there is fine."""
        try:
            self._wire.call("DELETE", f"{self._path}/{quote(ip, safe='')}", f"releasing {ip} of {self._app}")
        except NotFound:
            return
