"""Where Fly answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Places:
    """The addresses of the platform, without a path, from the variables that the vendor's own tool reads.

    `site` is where callers reach an app, `{app}` being its name; its variable, FLY_SITE_URL, is ours.
    """

    flaps: str = "https://api.machines.dev"
    api: str = "https://api.fly.io"
    registry: str = "https://registry.fly.io"
    site: str = "https://{app}.fly.dev"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        usual = cls()
        return cls(
            flaps=_address(env.get("FLY_FLAPS_BASE_URL", ""), usual.flaps),
            api=_address(env.get("FLY_API_BASE_URL", ""), usual.api),
            registry=_address(env.get("FLY_REGISTRY_HOST", ""), usual.registry),
            site=_address(env.get("FLY_SITE_URL", ""), usual.site),
        )

    def url(self, app: str) -> str:
        return self.site.replace("{app}", app)

    @property
    def registry_host(self) -> str:
        """As references of images begin with."""
        return self.registry.partition("://")[2]


def _address(given: str, usual: str) -> str:
    text = given.strip().rstrip("/")
    if not text:
        return usual
    return text if "://" in text else f"https://{text}"
