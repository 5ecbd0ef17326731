"""The token, and how it is presented."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from voicedeploy_providers.fly.api.errors import NoToken

_VARIABLES = ("FLY_API_TOKEN", "FLY_ACCESS_TOKEN")
_SCHEMES = ("bearer", "flyv1")
_MACAROONS = ("fm1r_", "fm1a_", "fm2_")


@dataclass(frozen=True)
class Token:
    """`bare` is the token without a scheme, as the registry takes it for a password."""

    bare: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        bare = text.strip()
        scheme, _, rest = bare.partition(" ")
        if scheme.lower() in _SCHEMES:
            bare = rest.strip()
        if not bare:
            raise _missing()
        if any(c.isspace() or not c.isprintable() or not c.isascii() for c in bare):
            raise NoToken("the token for Fly.io has spaces or line ends in it", hint="set FLY_API_TOKEN again")
        return cls(bare)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """By the names that flyctl reads."""
        return cls.parse(next((env[name] for name in _VARIABLES if env.get(name, "").strip()), ""))

    @property
    def header(self) -> str:
        """The value of `Authorization`: macaroons have a scheme of their own."""
        macaroon = any(part.strip().startswith(_MACAROONS) for part in self.bare.split(","))
        return f"{'FlyV1' if macaroon else 'Bearer'} {self.bare}"


def _missing() -> NoToken:
    return NoToken(
        "no token for Fly.io",
        hint="`fly tokens create org -o ORG`, then set FLY_API_TOKEN to what it prints",
    )
