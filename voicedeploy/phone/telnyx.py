"""Telnyx: numbers, and TeXML applications that they are connected with."""

from collections.abc import Mapping
from typing import Any

from voicedeploy.phone.account import Application, Owned
from voicedeploy.phone.rest import Rest

API = "https://api.telnyx.com"
KEYS = ("TELNYX_API_KEY",)

_PAGE = 250


class Telnyx:
    def __init__(self, keys: Mapping[str, str], base_url: str = "") -> None:
        headers = {"Authorization": f"Bearer {keys[KEYS[0]]}"}
        self._rest = Rest("Telnyx", base_url or API, KEYS, headers=headers)

    def owned(self, number: str = "") -> list[Owned]:
        found: list[Owned] = []
        wanted = {"filter[phone_number]": number} if number else {}
        page, last = 1, 1
        while page <= last:
            asked: dict[str, str | int] = {"page[number]": page, "page[size]": _PAGE, **wanted}
            said = self._rest.get("/v2/phone_numbers", **asked) or {"data": []}
            found += [_owned(row) for row in said["data"]]
            page, last = page + 1, int(said.get("meta", {}).get("total_pages", 1))
        return [owned for owned in found if number in ("", owned.number)]

    def application(self, id: str) -> Application | None:
        said = self._rest.get(f"/v2/texml_applications/{id}")
        if not said:
            return None
        data = said["data"]
        return Application(str(data["id"]), data["friendly_name"], data["voice_url"] or "")

    def create(self, name: str, url: str) -> str:
        json = {"friendly_name": name, **_addresses(url)}
        return str(self._rest.change("POST", "/v2/texml_applications", json=json)["data"]["id"])

    def update(self, application: Application, url: str) -> None:
        # The name is asked for again.
        json = {"friendly_name": application.name, **_addresses(url)}
        self._rest.change("PATCH", f"/v2/texml_applications/{application.id}", json=json)

    def delete(self, id: str) -> None:
        self._rest.change("DELETE", f"/v2/texml_applications/{id}")

    def point(self, owned: Owned, target: str) -> None:
        self._rest.change("PATCH", f"/v2/phone_numbers/{owned.id}", json={"connection_id": target})


def _addresses(url: str) -> dict[str, str]:
    return {
        "voice_url": url,
        "voice_method": "post",
        "status_callback": f"{url}/status",
        "status_callback_method": "post",
    }


def _owned(row: Mapping[str, Any]) -> Owned:
    return Owned(row["phone_number"], str(row["id"]), str(row.get("connection_id") or ""))
