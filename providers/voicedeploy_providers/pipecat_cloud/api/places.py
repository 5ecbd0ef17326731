"""Where Pipecat Cloud answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode, urlsplit


@dataclass(frozen=True)
class Places:
    """The address of the API, without a path, from the variable that the vendor's own tool reads."""

    api: str = "https://api.pipecat.daily.co"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        given = env.get("PIPECAT_API_HOST", "").strip().rstrip("/")
        if not given:
            return cls()
        return cls(given if "://" in given else f"https://{given}")

    @property
    def private(self) -> str:
        return f"{self.api}/v1"

    def agent(self, name: str) -> str:
        """What `/start` and `/sessions/…` of an agent are under; callers talk to this address."""
        return f"{self.api}/v1/public/{quote(name, safe='')}"

    def regional(self, region: str) -> str:
        """A region's own address, as far as the API has a name to put it before."""
        parts = urlsplit(self.api)
        return f"{parts.scheme}://{region}.{parts.netloc}" if parts.scheme == "https" else self.api

    def stream(self, region: str, carrier: str, agent: str, organization: str) -> tuple[str, dict[str, str]]:
        """Where a carrier opens its socket, and what it is told to say first: Twilio sends no query."""
        name = f"{agent}.{organization}"
        bare = f"{self.regional(region).replace('http', 'ws', 1)}/ws/{quote(carrier, safe='')}"
        if carrier == "twilio":
            return bare, {"_pipecatCloudServiceHost": name}
        return f"{bare}?{urlencode({'serviceHost': name})}", {}
