"""The bot's secrets on a host: one file of JSON that only root can read; systemd hands it to the unit."""

import json
import secrets
from collections.abc import Callable, Mapping

from voicedeploy.errors import StepFailed
from voicedeploy_providers.vm.places import Places
from voicedeploy_providers.vm.ssh import Shell


class HostSecrets:
    """Connects when it is first asked."""

    def __init__(self, shell: Callable[[], Shell], places: Places) -> None:
        self._shell = shell
        self._places = places

    @property
    def _path(self) -> str:
        return self._places / "secrets.json"

    def _values(self) -> dict[str, str]:
        said = self._shell().run('[ ! -e "$1" ] || cat "$1"', args=(self._path,)).out
        try:
            values: dict[str, str] = json.loads(said or "{}")
        except ValueError:
            raise StepFailed(f"{self._path}: damaged", hint="delete it there and set the secrets again") from None
        return values

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._values()))

    def update(self, values: Mapping[str, str | None]) -> None:
        merged: dict[str, str | None] = {**self._values(), **values}
        kept = {name: value for name, value in sorted(merged.items()) if value is not None}
        shell = self._shell()
        shell.run('mkdir -p "$1"', args=(self._places.root,))
        shell.put(self._path, json.dumps(kept).encode(), 0o600)
        # Random, not a digest: it says that something changed, and nothing about what.
        shell.put(self._places / "secrets.version", secrets.token_hex(8).encode(), 0o644)
