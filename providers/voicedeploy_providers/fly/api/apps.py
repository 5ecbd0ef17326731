"""Apps: the names below which everything else is."""

from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.errors import Forbidden, NameTaken, NotFound
from voicedeploy_providers.fly.api.records import AppRecord, Record


class _Apps(Record):
    apps: tuple[AppRecord, ...] = ()


class Apps:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, org: str) -> tuple[AppRecord, ...]:
        what = f"listing the apps of {org}"
        return self._wire.read(_Apps, self._wire.call("GET", "/apps", what, params={"org_slug": org}), what).apps

    def get(self, name: str) -> AppRecord | None:
        what = f"looking at the app {name}"
        try:
            return self._wire.read(AppRecord, self._wire.call("GET", f"/apps/{quote(name, safe='')}", what), what)
        except NotFound:
            return None

    def create(self, name: str, org: str) -> AppRecord:
        """`NameTaken` also where the app is the caller's own: look first."""
        what = f"creating the app {name}"
        body = {"name": name, "org_slug": org}

        def make() -> AppRecord:
            try:
                self._wire.call("POST", "/apps", what, body=body, params={"wait": "true"})
            except Forbidden as error:
                if "name" in error.message.removeprefix(what).lower():
                    raise NameTaken(error.message, hint=_OTHER, status=error.status) from error
                raise
            return AppRecord(name=name)

        return self._wire.once(make, lambda: self.get(name), what)

    def delete(self, name: str) -> None:
        """With all its machines, addresses and secrets. One that is not there is fine."""
        try:
            self._wire.call(
                "DELETE", f"/apps/{quote(name, safe='')}", f"deleting the app {name}", params={"force": "true"}
            )
        except NotFound:
            return


_OTHER = "names of apps are unique in all of Fly: choose another one"
