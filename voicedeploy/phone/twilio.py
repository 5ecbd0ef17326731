"""Twilio: numbers, and applications that hide a number's own address without changing it."""

from collections.abc import Mapping
from typing import Any

from voicedeploy.phone.account import Application, Owned
from voicedeploy.phone.rest import Rest

API = "https://api.twilio.com"
KEYS = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")

_TRUNK = "TK"


class Twilio:
    def __init__(self, keys: Mapping[str, str], base_url: str = "") -> None:
        sid, token = (keys[name] for name in KEYS)
        self._rest = Rest("Twilio", base_url or API, KEYS, auth=(sid, token))
        self._root = f"/2010-04-01/Accounts/{sid}"

    def owned(self, number: str = "") -> list[Owned]:
        found: list[Owned] = []
        wanted = {"PhoneNumber": number} if number else {}
        page = self._rest.get(f"{self._root}/IncomingPhoneNumbers.json", PageSize=100, **wanted)
        while page:
            found += [_owned(row) for row in page["incoming_phone_numbers"]]
            page = self._rest.get(page["next_page_uri"]) if page.get("next_page_uri") else None
        return [owned for owned in found if number in ("", owned.number)]

    def application(self, id: str) -> Application | None:
        said = self._rest.get(f"{self._root}/Applications/{id}.json")
        return Application(said["sid"], said["friendly_name"], said["voice_url"] or "") if said else None

    def create(self, name: str, url: str) -> str:
        form = {"FriendlyName": name, **_addresses(url)}
        return str(self._rest.change("POST", f"{self._root}/Applications.json", form=form)["sid"])

    def update(self, application: Application, url: str) -> None:
        self._rest.change("POST", f"{self._root}/Applications/{application.id}.json", form=_addresses(url))

    def delete(self, id: str) -> None:
        self._rest.change("DELETE", f"{self._root}/Applications/{id}.json")

    def point(self, owned: Owned, target: str) -> None:
        # Setting one takes the other away.
        form = {"TrunkSid": target} if target.startswith(_TRUNK) else {"VoiceApplicationSid": target}
        self._rest.change("POST", f"{self._root}/IncomingPhoneNumbers/{owned.id}.json", form=form)


def _addresses(url: str) -> dict[str, str]:
    return {"VoiceUrl": url, "VoiceMethod": "POST", "StatusCallback": f"{url}/status", "StatusCallbackMethod": "POST"}


def _owned(row: Mapping[str, Any]) -> Owned:
    target = row["trunk_sid"] or row["voice_application_sid"] or ""
    return Owned(row["phone_number"], row["sid"], target, row["voice_url"] or "")
