"""The two keys of an organization: the private one manages it, the public one only starts sessions."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from voicedeploy_providers.pipecat_cloud.api.errors import NoKey

_PUBLIC = "pk_"
_PERSONAL = "pcc_pat_"
WHERE = "pipecat.daily.co → Settings → API keys"


@dataclass(frozen=True)
class _Key:
    kind: ClassVar[str]
    variables: ClassVar[tuple[str, ...]]
    bare: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        bare = text.strip().removeprefix("Bearer ").strip()
        if not bare:
            raise NoKey(f"no {cls.kind} key for Pipecat Cloud", hint=f"make one at {WHERE}, then set {cls._named()}")
        if any(c.isspace() or not c.isprintable() or not c.isascii() for c in bare):
            raise NoKey(
                f"the {cls.kind} key for Pipecat Cloud has spaces or line ends in it", hint=f"set {cls._named()} again"
            )
        if bare.startswith(_PERSONAL):
            raise NoKey(
                "a personal access token signs the vendor's own tool in, and is not taken by the API",
                hint=f"make a {cls.kind} key at {WHERE}, then set {cls._named()}",
            )
        return cls(bare)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        return cls.parse(next((env[name] for name in cls.variables if env.get(name, "").strip()), ""))

    @classmethod
    def _named(cls) -> str:
        return cls.variables[0]

    @property
    def header(self) -> str:
        """The value of `Authorization`."""
        return f"Bearer {self.bare}"


@dataclass(frozen=True)
class PrivateKey(_Key):
    kind: ClassVar[str] = "private"
    variables: ClassVar[tuple[str, ...]] = ("PIPECAT_CLOUD_PRIVATE_KEY", "PIPECAT_CLOUD_API_KEY")

    @classmethod
    def parse(cls, text: str) -> Self:
        key = super().parse(text)
        if key.bare.startswith(_PUBLIC):
            raise NoKey(
                "that is a public key, which only starts sessions",
                hint=f"make a private one at {WHERE}, then set {cls._named()}",
            )
        return key


@dataclass(frozen=True)
class PublicKey(_Key):
    kind: ClassVar[str] = "public"
    variables: ClassVar[tuple[str, ...]] = ("PIPECAT_CLOUD_PUBLIC_KEY", "PIPECAT_DEFAULT_PUBLIC_KEY")

    @classmethod
    def parse(cls, text: str) -> Self:
        key = super().parse(text)
        if not key.bare.startswith(_PUBLIC):
            raise NoKey(
                f"a public key begins with {_PUBLIC}: a private one must not go where callers are",
                hint=f"make a public one at {WHERE}, then set {cls._named()}",
            )
        return key
