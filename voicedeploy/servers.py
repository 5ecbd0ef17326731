"""STUN and TURN servers, as a spec names them."""

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from voicedeploy.section import Section, wrong


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Urls = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class IceServer(Section):
    """A STUN or TURN server, as WebRTC names its parts."""

    urls: Urls
    username: str | None = None
    credential: str | None = Field(default=None, repr=False)

    @field_validator("urls")
    @classmethod
    def _schemes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not re.match(r"(stun|turn|turns):[^/]", url):
                raise wrong(
                    f"{url!r} is not the address of a STUN or TURN server",
                    'write it like "stun:stun.example.org:3478" or "turns:turn.example.org:5349?transport=tcp"',
                )
        return value


_CREDENTIALS = (
    'with secret = "TURN_SECRET", the name of the secret that holds coturn\'s, or with username and credential'
)


class TurnServer(Section):
    """A relay, with one of three kinds of credentials: a secret by which they are made for each call (coturn's
    `static-auth-secret`), the key of Cloudflare's service and its token, or a name and a password that stay."""

    urls: Urls = ()
    secret: str | None = None
    """Names the secret: coturn's, or Cloudflare's API token. The value is set by `voicedeploy secrets`."""
    cloudflare: str | None = None
    """The ID of a TURN key, which Cloudflare shows beside its token."""
    username: str | None = None
    credential: str | None = Field(default=None, repr=False)

    @field_validator("urls")
    @classmethod
    def _schemes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not re.fullmatch(r"turn:[^/?]+(\?transport=(udp|tcp))?|turns:[^/?]+(\?transport=tcp)?", url):
                raise wrong(
                    f"{url!r} is not the address of a TURN server",
                    'write it like "turn:turn.example.org:3478" or "turns:turn.example.org:5349?transport=tcp"',
                )
        return value

    @field_validator("secret")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise wrong(
                "this is not the name of a secret",
                'only its name goes here, e.g. secret = "TURN_SECRET"; the value is asked for by '
                "`voicedeploy secrets set TURN_SECRET`",
            )
        return value

    @field_validator("cloudflare")
    @classmethod
    def _key(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
            raise wrong(
                "this is not the ID of a TURN key", "copy it from Cloudflare's dashboard: Realtime, TURN Server"
            )
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        named = self.username is not None or self.credential is not None
        if self.cloudflare is not None:
            if self.urls or named:
                raise wrong(
                    "Cloudflare tells the addresses and the password itself",
                    'write { cloudflare = "KEY_ID", secret = "CLOUDFLARE_TURN_TOKEN" }, and nothing else in it',
                )
            if self.secret is None:
                raise wrong(
                    "the TURN key's API token is missing",
                    'add secret = "CLOUDFLARE_TURN_TOKEN", then `voicedeploy secrets set CLOUDFLARE_TURN_TOKEN`',
                )
        elif not self.urls:
            raise wrong("there is no address", f'add urls = "turn:turn.example.org:3478", {_CREDENTIALS}')
        elif self.secret is not None and named:
            raise wrong(
                "there are two kinds of credentials", "keep `secret`, or keep `username` and `credential`; not both"
            )
        elif self.secret is None and (not self.username or not self.credential):
            raise wrong(
                "a TURN server lets nobody in without credentials", f'write {{ urls = "turn:…", … }} {_CREDENTIALS}'
            )
        return self

    @property
    def asked(self) -> tuple[str, ...]:
        """The addresses; of Cloudflare's service those that it has published for years."""
        return CLOUDFLARE if self.cloudflare else self.urls


CLOUDFLARE = (
    "turn:turn.cloudflare.com:3478?transport=udp",
    "turn:turn.cloudflare.com:3478?transport=tcp",
    "turns:turn.cloudflare.com:5349?transport=tcp",
)
"""developers.cloudflare.com/realtime/turn/: what is asked before there is an answer that names them."""


def servers(value: object) -> object:
    if isinstance(value, list):
        return tuple({"urls": entry} if isinstance(entry, str) else entry for entry in value)
    return value
