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

    def socket(self, region: str, kind: str, agent: str, organization: str) -> str:
        """Where a carrier (`telnyx`, `plivo`, `exotel`) connects. Twilio sends no query: there the name goes in a
        `<Parameter>`, and the address is what is before the `?`."""
        parts = urlsplit(self.api)
        scheme = "wss" if parts.scheme == "https" else "ws"
        host = f"{region}.{parts.netloc}" if parts.scheme == "https" else parts.netloc
        return f"{scheme}://{host}/ws/{quote(kind, safe='')}?{urlencode({'serviceHost': f'{agent}.{organization}'})}"
