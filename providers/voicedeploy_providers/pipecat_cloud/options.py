"""`[provider.pipecat-cloud]` of voicedeploy.toml."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from voicedeploy import options
from voicedeploy_providers.pipecat_cloud.profiles import PROFILES


def _agent(value: str) -> str:
    if value and not re.fullmatch(r"[a-z0-9][-a-z0-9]{0,38}[a-z0-9]", value):
        raise options.wrong(f"{value!r} cannot be the name of an agent", "2 to 40 lower-case letters, digits and '-'")
    return value


def _profile(value: str) -> str:
    if value and value not in PROFILES:
        raise options.wrong(f"{value!r} is not a profile of agents", f"one of {', '.join(PROFILES)}")
    return value


def _organization(value: str) -> str:
    if value and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
        raise options.wrong(
            f"{value!r} cannot be an organization's name", "as `pipecat cloud organizations list` shows it, under Name"
        )
    return value


class Options(options.Options):
    agent: Annotated[str, AfterValidator(_agent)] = ""
    """Unique in all of Pipecat Cloud; the bot's name where it is empty."""
    region: str = ""
    """Where agents run and secrets lie; the organization's own where it is empty."""
    profile: Annotated[str, AfterValidator(_profile)] = ""
    """The size of an agent; the smallest that carries one call where it is empty."""
    organization: Annotated[str, AfterValidator(_organization)] = ""
    """Whose agent it is, as `pipecat cloud organizations list` names it; carriers say it. What the platform says of the
    agent where it is empty."""
    base: str = ""
    """The image that the bot's stands on; the vendor's where it is empty."""
    keep: int = Field(default=3, ge=0, le=20)
    """Older releases that one can go back to."""
