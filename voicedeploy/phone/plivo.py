"""Plivo: numbers, and applications that they are linked with."""

import re
from collections.abc import Mapping
from typing import Any

from voicedeploy.phone.account import Application, Owned
from voicedeploy.phone.rest import Rest

API = "https://api.plivo.com"
KEYS = ("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN")

_PAGE = 20


class Plivo:
    def __init__(self, keys: Mapping[str, str], base_url: str = "") -> None:
        id, token = (keys[name] for name in KEYS)
        self._rest = Rest("Plivo", base_url or API, KEYS, auth=(id, token))
        self._root = f"/v1/Account/{id}"

    def owned(self, number: str = "") -> list[Owned]:
        if number:
            row = self._rest.get(f"{self._root}/Number/{number.removeprefix('+')}/")
            return [_owned(row)] if row else []
        found: list[Owned] = []
        while page := self._rest.get(f"{self._root}/Number/", limit=_PAGE, offset=len(found)):
            found += [_owned(row) for row in page["objects"]]
            if not page["meta"].get("next"):
                break
        return found

    def application(self, id: str) -> Application | None:
        said = self._rest.get(f"{self._root}/Application/{id}/")
        return Application(str(said["app_id"]), said["app_name"], said["answer_url"] or "") if said else None

    def create(self, name: str, url: str) -> str:
        json = {"app_name": name, **_addresses(url)}
        return str(self._rest.change("POST", f"{self._root}/Application/", json=json)["app_id"])

    def update(self, application: Application, url: str) -> None:
        self._rest.change("POST", f"{self._root}/Application/{application.id}/", json=_addresses(url))

    def delete(self, id: str) -> None:
        self._rest.change("DELETE", f"{self._root}/Application/{id}/")

    def point(self, owned: Owned, target: str) -> None:
        self._rest.change("POST", f"{self._root}/Number/{owned.id}/", json={"app_id": target})


def _addresses(url: str) -> dict[str, str]:
    return {"answer_url": url, "answer_method": "POST", "hangup_url": f"{url}/status", "hangup_method": "POST"}


def _owned(row: Mapping[str, Any]) -> Owned:
    """Numbers come without their `+`, and an application as a path: /v1/Account/…/Application/1234/."""
    linked = re.search(r"/Application/([^/]+)/", str(row.get("application") or ""))
    return Owned(f"+{row['number']}", str(row["number"]), linked[1] if linked else "")
