"""`[provider.local]` of voicedeploy.toml."""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from voicedeploy.errors import SpecError
from voicedeploy.spec import FILE, explain


def _wrong(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("voicedeploy", "{message}", {"message": message, "remedy": remedy})


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    host: str = "127.0.0.1"
    """The address the front listens on; 0.0.0.0 lets the local network in."""
    port: int = Field(default=7860, ge=1, le=65535)
    udp_ports: str = ""
    """A range such as `20000-20015`; empty is two ports a slot from 20000 on (the second for the next release)."""
    public_ip: str = ""
    """The address that callers outside see, where it is not on a network card of this machine."""
    nets: tuple[str, ...] = Field(default=(), strict=False)
    """Only addresses in these networks are offered to callers."""

    @field_validator("udp_ports")
    @classmethod
    def _range(cls, value: str) -> str:
        match = re.fullmatch(r"(\d+)-(\d+)", value)
        if value and not (match and 1024 <= int(match[1]) <= int(match[2]) <= 65535):
            raise _wrong(f"{value!r} is not a range of ports", 'write it like "20000-20015"')
        return value

    @field_validator("host", "public_ip")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            try:
                ip_address(value)
            except ValueError:
                raise _wrong(f"{value!r} is not an IP address", 'write it like "192.168.1.10"') from None
        return value

    @field_validator("nets")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for net in value:
            try:
                ip_network(net)
            except ValueError:
                raise _wrong(f"{net!r} is not a network", 'write it like "192.168.1.0/24"') from None
        return value

    def ports(self, slots: int) -> range:
        if not self.udp_ports:
            return range(20000, 20000 + 2 * slots)
        low, high = self.udp_ports.split("-")
        return range(int(low), int(high) + 1)


def parse(options: Mapping[str, Any]) -> Options:
    try:
        return Options.model_validate(options)
    except ValidationError as error:
        faults = [explain(FILE, fault, Options, "provider.local") for fault in error.errors(include_url=False)]
        raise SpecError(
            "\n".join(message for message, _ in faults), hint="\n".join(hint for _, hint in faults)
        ) from None
