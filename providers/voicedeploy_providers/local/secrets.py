"""The bot's secrets on this machine: one file of JSON that only its owner can read."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from voicedeploy.errors import StepFailed
from voicedeploy.plan import Write
from voicedeploy_providers.local.machine import Machine
from voicedeploy_providers.local.places import Places


class SecretsFile:
    def __init__(self, places: Places) -> None:
        self._path = places.secrets
        self._key = places.key

    def values(self) -> dict[str, str]:
        """For what this machine does with them itself; nothing shows them."""
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        try:
            values: dict[str, str] = json.loads(text)
        except ValueError as error:
            raise StepFailed(f"{self._path}: damaged", hint="delete it and set the secrets again") from error
        return values

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.values()))

    def update(self, values: Mapping[str, str | None]) -> None:
        merged: dict[str, str | None] = {**self.values(), **values}
        kept = {name: value for name, value in sorted(merged.items()) if value is not None}
        if not read_key(self._key):
            Machine().perform(Write(str(self._key), new_key().encode(), 0o600, secret=True))
        Machine().perform(Write(str(self._path), json.dumps(kept).encode(), 0o600, secret=True))

    def digest(self) -> str:
        """Changes when a value changes, and says nothing about the values to whoever lacks the key."""
        values = self.values()
        if not values:
            return ""
        text = json.dumps(values, sort_keys=True).encode()
        return hmac.new(read_key(self._key).encode(), text, hashlib.sha256).hexdigest()


def read_key(path: Path) -> str:
    """The front's key, empty where there is none yet."""
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return ""


def new_key() -> str:
    return secrets.token_urlsafe(32)
