"""What the tables `[provider.<name>]` of different providers have in common."""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError

from voicedeploy.errors import SpecError
from voicedeploy.section import Section
from voicedeploy.section import wrong as wrong
from voicedeploy.spec import FILE, explain


def _range(value: str) -> str:
    match = re.fullmatch(r"(\d+)-(\d+)", value)
    if value and not (match and 1024 <= int(match[1]) <= int(match[2]) <= 65535):
        raise wrong(f"{value!r} is not a range of ports", 'write it like "20000-20015"')
    return value


def _address(value: str) -> str:
    if value:
        try:
            ip_address(value)
        except ValueError:
            raise wrong(f"{value!r} is not an IP address", 'write it like "192.168.1.10"') from None
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for net in value:
        try:
            ip_network(net)
        except ValueError:
            raise wrong(f"{net!r} is not a network", 'write it like "192.168.1.0/24"') from None
    return value


PortRange = Annotated[str, AfterValidator(_range)]
"""Such as `20000-20015`, or empty."""
Address = Annotated[str, AfterValidator(_address)]
"""An IP address, or empty."""
Networks = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_networks)]


def ports(value: str) -> range:
    """The ports of a `PortRange` that is not empty."""
    low, high = value.split("-")
    return range(int(low), int(high) + 1)


class Options(Section):
    """A provider's own table. Unknown keys are refused."""

    @classmethod
    def parse(cls, options: Mapping[str, Any], provider: str) -> Self:
        """Raises `SpecError` with every fault, each with file, key and remedy."""
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            faults = [explain(FILE, fault, cls, f"provider.{provider}") for fault in error.errors(include_url=False)]
            raise SpecError(
                "\n".join(message for message, _ in faults), hint="\n".join(hint for _, hint in faults)
            ) from None
