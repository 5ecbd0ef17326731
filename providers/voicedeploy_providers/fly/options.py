"""`[provider.fly]` of voicedeploy.toml."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from voicedeploy import options
from voicedeploy_providers.fly.sizes import SIZES


def _app(value: str) -> str:
    if value and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
        raise options.wrong(f"{value!r} cannot be the name of an app", "lower-case letters, digits and '-'")
    return value


def _regions(value: tuple[str, ...]) -> tuple[str, ...]:
    for region in value:
        if not re.fullmatch(r"[a-z]{3}", region):
            raise options.wrong(f"{region!r} is not a region of Fly", 'three letters, e.g. "fra"')
    return value


def _size(value: str) -> str:
    if value not in SIZES:
        raise options.wrong(f"{value!r} is not a size of machines", f"one of {', '.join(SIZES)}")
    return value


def _listed(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class Options(options.Options):
    app: Annotated[str, AfterValidator(_app)] = ""
    """Unique in all of Fly; the bot's name where it is empty."""
    org: str = "personal"
    """Who pays."""
    region: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_regions)] = ()
    """Where machines are made, the next one where the first has no room; the nearest where it is empty."""
    spread: bool = False
    """Machines take the regions by turns, and callers get the nearest that has room."""
    size: Annotated[str, AfterValidator(_size)] = "performance-1x"
    image: str = ""
    """An image in Fly's registry or a public one that was made for this bot; without it one is made here."""
    base: str = ""
    """What the image that is made here stands on; a Python of Docker's own by default."""
    udp: bool = False
    """Packets of WebRTC come in directly, at a dedicated address that costs money. Not proven on the real platform."""
    keep: int = Field(default=1, ge=0, le=20)
    """Older releases that are kept, stopped, to go back to."""
